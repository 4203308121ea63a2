// The seed's client, with the official JavaScript SDK: signs in, listens to a generation before it is asked for, and says what it
// sees, a line of JSON each time. Run by tests/client/worker/test_deployed.py.
import { deleteApp, initializeApp } from "firebase/app";
import { connectAuthEmulator, inMemoryPersistence, initializeAuth, signInAnonymously } from "firebase/auth";
import {
  collection, connectFirestoreEmulator, doc, getDocs, getFirestore, limit, onSnapshot, orderBy, query,
} from "firebase/firestore";

const [projectId, fileUid] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const app = initializeApp({ apiKey: "any", projectId });
const auth = initializeAuth(app, { persistence: inMemoryPersistence });
connectAuthEmulator(auth, `http://${process.env.FIREBASE_AUTH_EMULATOR_HOST}`, { disableWarnings: true });
const db = getFirestore(app);
const [host, port] = process.env.FIRESTORE_EMULATOR_HOST.split(":");
connectFirestoreEmulator(db, host, Number(port));

const { user } = await signInAnonymously(auth);
say({ uid: user.uid, idToken: await user.getIdToken() });

const data = await new Promise((resolve, reject) => {
  onSnapshot(doc(db, "generations", user.uid, "files", fileUid), (snapshot) => {
    const seen = snapshot.data();
    say({ status: seen?.status ?? null });
    if (seen?.status === "completed" || seen?.status === "failed") resolve(seen);
  }, reject);
});
const urls = data.generation_data.images || [data.generation_data.video_url];
const newest = query(collection(db, "generations", user.uid, "files"), orderBy("created_at", "desc"), limit(20));
const history = await getDocs(newest);
say({ urls, history: history.docs.map((each) => each.id), seconds: data.created_at.seconds > 0 });
await deleteApp(app);
process.exit(0);

// The connection to Firebase: one app, its Auth, its Firestore with a cache on disk, Storage where somebody needs it.
import { initializeApp } from "firebase/app";
import { browserLocalPersistence, connectAuthEmulator, indexedDBLocalPersistence, initializeAuth } from "firebase/auth";
import {
  clearIndexedDbPersistence,
  connectFirestoreEmulator,
  initializeFirestore,
  persistentLocalCache,
  persistentMultipleTabManager,
  terminate,
} from "firebase/firestore";
import { APP_CHECK_SITE_KEY } from "./configuration.js";

const RECAPTCHA = /^https:\/\/www\.(google|gstatic)\.com\/recaptcha\//;

export class Backend {
  /** Reads what Hosting's init.js said; hosting_setup.js noted it. */
  static async connect() {
    const { config, emulators } = globalThis.hostingSetup;
    if (!config) throw new Error("/__/firebase/init.js has not been read: is this page served by Firebase Hosting?");
    const app = initializeApp(config);
    const backend = new Backend(app, emulators);
    if (APP_CHECK_SITE_KEY) await backend.#checkApps();
    return backend;
  }

  #emulators;
  #storages = new Map();
  #appCheck = null;

  constructor(app, emulators) {
    this.app = app;
    this.#emulators = emulators;
    this.auth = initializeAuth(app, { persistence: [indexedDBLocalPersistence, browserLocalPersistence] });
    if (emulators.auth) connectAuthEmulator(this.auth, emulators.auth[0], { disableWarnings: true });
    const tabManager = persistentMultipleTabManager();
    this.db = initializeFirestore(app, { localCache: persistentLocalCache({ tabManager }) });
    if (emulators.firestore) connectFirestoreEmulator(this.db, ...emulators.firestore);
  }

  get user() {
    return this.auth.currentUser;
  }

  /** The bucket that originals are stored in. */
  get bucket() {
    return this.app.options.storageBucket;
  }

  /** Storage of a bucket; its part of the SDK is loaded when it is asked for. */
  async storage(bucket = this.bucket) {
    const { connectStorageEmulator, getStorage } = await import("firebase/storage");
    if (!this.#storages.has(bucket)) {
      const storage = getStorage(this.app, `gs://${bucket}`);
      if (this.#emulators.storage) connectStorageEmulator(storage, ...this.#emulators.storage);
      this.#storages.set(bucket, storage);
    }
    return this.#storages.get(bucket);
  }

  /** An App Check token for the API; empty where the page uses none. */
  async appCheckToken({ once = false } = {}) {
    if (!this.#appCheck) return "";
    const { getLimitedUseToken, getToken } = await import("firebase/app-check");
    return (await (once ? getLimitedUseToken : getToken)(this.#appCheck)).token;
  }

  /** Forgets what this browser keeps of the user: for a machine that others use too. */
  async forget() {
    await terminate(this.db);
    await clearIndexedDbPersistence(this.db);
  }

  async #checkApps() {
    const { ReCaptchaEnterpriseProvider, initializeAppCheck } = await import("firebase/app-check");
    // The SDK adds reCAPTCHA's script to the page: from its own addresses, and from nowhere else.
    const createScriptURL = (address) => (RECAPTCHA.test(address) ? address : null);
    globalThis.trustedTypes?.createPolicy("default", { createScriptURL });
    const provider = new ReCaptchaEnterpriseProvider(APP_CHECK_SITE_KEY);
    this.#appCheck = initializeAppCheck(this.app, { provider, isTokenAutoRefreshEnabled: true });
  }
}

// What Hosting's own init.js says: the project's configuration, and where its services are.
//
// init.js speaks to the global `firebase` of the SDK's older form. This notes what it says, for the modules of the
// newer form: `hostingSetup.config` for `initializeApp`, and under `hostingSetup.emulators` the arguments of the
// `connect…Emulator` functions, where the site is served by an emulator. On Google's Hosting there are none.
globalThis.hostingSetup = { config: null, emulators: {} };
{
  const noting = (name) => () => ({
    useEmulator: (...where) => {
      hostingSetup.emulators[name] = where;
    },
  });
  globalThis.firebase = {
    initializeApp: (config) => {
      hostingSetup.config = config;
    },
    auth: noting("auth"),
    firestore: noting("firestore"),
    storage: noting("storage"),
  };
}

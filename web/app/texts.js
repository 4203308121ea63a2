// Everything the page says, each text beside its translation; and which language is spoken.

export const LANGUAGES = [
  ["en", "English"],
  ["de", "Deutsch"],
];

export const TEXTS = {
  // The frame
  rooms: ["Rooms", "Räume"],
  language: ["Language", "Sprache"],
  starting: ["Starting …", "Wird gestartet …"],
  offline: [
    "No network. What was here before can be read; what you do is sent when the network is back.",
    "Kein Netz. Bisheriges bleibt lesbar; was du tust, wird gesendet, sobald das Netz wieder da ist.",
  ],
  "try.again": ["Try again", "Noch einmal versuchen"],
  close: ["Close", "Schließen"],
  undo: ["Undo", "Rückgängig"],
  "undo.now": ["Do it now", "Jetzt ausführen"],
  "room.gallery": ["Gallery", "Galerie"],
  "room.generations": ["Generations", "Generierungen"],
  "room.dialogues": ["Dialogues", "Dialoge"],
  "room.books": ["Books", "Bücher"],
  "room.versions": ["Versions", "Versionen"],
  "room.storage": ["Storage", "Speicher"],
  "room.operators": ["Operators", "Betrieb"],
  "room.account": ["Account", "Konto"],

  // The account
  "account.guest": ["Guest", "Gast"],
  "account.anonymous": [
    "You are a guest: everything works, on this device alone. With a password you find it again elsewhere.",
    "Du bist Gast: Alles geht, aber nur auf diesem Gerät. Mit einem Passwort findest du es auch anderswo wieder.",
  ],
  "account.known": ["You are {email}.", "Du bist {email}."],
  "account.keep": ["Keep this account", "Dieses Konto behalten"],
  "account.keep.why": ["Everything you have made here stays yours.", "Alles, was du hier gemacht hast, bleibt deins."],
  "account.enter": ["Sign in", "Anmelden"],
  "account.enter.why": [
    "With an account that you have. What you made as a guest stays with the guest.",
    "Mit einem Konto, das du hast. Was du als Gast gemacht hast, bleibt beim Gast.",
  ],
  "account.leave": ["Sign out", "Abmelden"],
  "account.leave.why": ["Nothing of yours stays in this browser.", "Nichts von dir bleibt in diesem Browser."],
  "account.id": ["Your id:", "Deine Kennung:"],
  email: ["E-mail", "E-Mail"],
  password: ["Password", "Passwort"],

  // The gallery
  "gallery.empty": ["Nothing here yet. Drop a picture.", "Noch nichts hier. Zieh ein Bild herein."],
  "gallery.deleted": ["The file is being deleted.", "Die Datei wird gelöscht."],
  "files.one": ["{count} file", "{count} Datei"],
  "files.other": ["{count} files", "{count} Dateien"],
  "kind.image": ["Picture", "Bild"],
  "kind.video": ["Film", "Film"],
  "kind.audio": ["Sound", "Ton"],
  "kind.other": ["File", "Datei"],
  "status.processing": ["Being made ready", "Wird vorbereitet"],
  "status.waiting": ["Waits for tomorrow", "Wartet auf morgen"],
  "status.quarantined": ["Kept apart", "Zurückgehalten"],
  "status.unsupported": ["Stored as it is", "Nur gespeichert"],
  "status.failed": ["Our fault", "Unser Fehler"],
  "upload.pick": ["Choose files", "Dateien wählen"],
  "upload.drop": [
    "or drop them here: pictures, MP4 films and Opus sounds, each under 5 MB",
    "oder hierher ziehen: Bilder, MP4-Filme und Opus-Töne, jeweils unter 5 MB",
  ],
  "upload.all": ["Uploads", "Hochladen"],
  "upload.sums": ["{done} of {all} files are stored ({size}).", "{done} von {all} Dateien sind gespeichert ({size})."],
  "upload.refused.one": ["{count} was refused.", "{count} wurde abgelehnt."],
  "upload.refused.other": ["{count} were refused.", "{count} wurden abgelehnt."],
  "upload.cancelled.one": ["{count} was cancelled.", "{count} wurde abgebrochen."],
  "upload.cancelled.other": ["{count} were cancelled.", "{count} wurden abgebrochen."],
  "upload.paused": ["Paused.", "Angehalten."],
  "upload.waits": ["Waiting for the network.", "Wartet auf das Netz."],
  "upload.pause": ["Pause", "Anhalten"],
  "upload.resume": ["Go on", "Weiter"],
  "upload.cancel.all": ["Cancel all", "Alle abbrechen"],
  "upload.cancel": ["Cancel {name}", "{name} abbrechen"],
  "upload.tidy": ["Clear the list", "Liste leeren"],
  "upload.done": ["Stored", "Gespeichert"],
  "upload.cancelled": ["Cancelled", "Abgebrochen"],
  "upload.refused": ["Refused", "Abgelehnt"],
  "upload.empty": ["The file is empty.", "Die Datei ist leer."],
  "upload.too.large": ["5 MB are the most that is stored here.", "Mehr als 5 MB werden hier nicht gespeichert."],
  "upload.wrong.kind": [
    "Pictures (no SVG), MP4 films and Opus sounds are stored here.",
    "Hier werden Bilder (kein SVG), MP4-Filme und Opus-Töne gespeichert.",
  ],
  viewer: ["One file", "Eine Datei"],
  "viewer.original": ["Download the original", "Original herunterladen"],
  "viewer.sizes": ["Sizes made of it", "Daraus erzeugte Größen"],
  delete: ["Delete", "Löschen"],
  download: ["Download", "Herunterladen"],
  "download.of": ["Download {name}", "{name} herunterladen"],
  name: ["Name", "Name"],
  kind: ["Kind", "Art"],
  size: ["Size", "Größe"],
  pixels: ["Pixels", "Bildpunkte"],
  type: ["Type", "Typ"],
  stored: ["Stored", "Gespeichert"],
  seconds: ["Seconds", "Sekunden"],
  note: ["Note", "Hinweis"],

  // Generations
  "generations.ask": ["Generate", "Generieren"],
  "generations.iterate": ["Make the next version", "Nächste Version machen"],
  "generations.working": ["At work …", "In Arbeit …"],
  "generations.all": ["What you asked for", "Was du angefragt hast"],
  "generations.empty": ["Nothing yet. Say what is to be made.", "Noch nichts. Sag, was gemacht werden soll."],
  "generation.processing": ["at work", "in Arbeit"],
  "generation.completed": ["done", "fertig"],
  "generation.failed": ["failed", "fehlgeschlagen"],
  "generation.missing": [
    "This generation is not there, or not yours.",
    "Diese Generierung gibt es nicht, oder nicht für dich.",
  ],
  "generation.versions": ["Versions", "Versionen"],
  "generation.no.archive": ["Its files are not in the cloud yet.", "Ihre Dateien sind noch nicht in der Cloud."],
  "generation.deleted": ["The generation is being deleted.", "Die Generierung wird gelöscht."],
  "version.number": ["Version {number}", "Version {number}"],
  "compare.this": ["Compare", "Vergleichen"],
  "compare.of": ["From version {one} to version {other}", "Von Version {one} zu Version {other}"],
  "file.added": ["came", "kam dazu"],
  "file.removed": ["went", "fiel weg"],
  "file.same": ["same size", "gleich groß"],
  change: ["Change", "Änderung"],
  files: ["Files", "Dateien"],
  prompt: ["What is to be made", "Was gemacht werden soll"],
  mode: ["How much of it", "Wie viel davon"],
  "mode.classic": ["small", "klein"],
  "mode.enhanced": ["with tests, documentation and a picture", "mit Tests, Dokumentation und einem Bild"],
  workers: ["From workers", "Von Workern"],
  "workers.why": [
    "Pictures and films that a machine makes for you appear here as they end.",
    "Bilder und Filme, die eine Maschine für dich macht, erscheinen hier, sobald sie fertig sind.",
  ],
  back: ["Back to all", "Zurück zu allen"],
  "delete.of": ["Delete {name}", "{name} löschen"],

  // Dialogues
  "dialogues.empty": ["No dialogues yet.", "Noch keine Dialoge."],
  "dialogues.one": ["{count} dialogue", "{count} Dialog"],
  "dialogues.other": ["{count} dialogues", "{count} Dialoge"],
  "hits.one": ["{count} hit", "{count} Treffer"],
  "hits.other": ["{count} hits", "{count} Treffer"],
  "hits.name": ["Hits", "Treffer"],
  "dialogue.said": ["The app says", "Die App sagt"],
  "dialogue.known": ["The books say", "Die Bücher sagen"],
  "dialogue.use": ["Use it again", "Wiederverwenden"],
  "dialogue.used": ["Copied, and booked as a hit.", "Kopiert und als Treffer gebucht."],
  "dialogue.deleted": ["The dialogue is being deleted.", "Der Dialog wird gelöscht."],
  "dialogue.write": ["Write one down", "Einen aufschreiben"],
  "dialogue.keep": ["Keep it", "Behalten"],
  "dialogue.card": ["Card", "Karte"],
  "dialogue.cost": ["Cost in dollars, as the app knows it", "Kosten in Dollar, wie die App sie kennt"],
  text: ["Text", "Text"],
  model: ["Model", "Modell"],
  cost: ["Cost", "Kosten"],
  waited: ["Waited", "Gewartet"],
  "last.used": ["Last used", "Zuletzt benutzt"],
  made: ["Made", "Erzeugt"],
  status: ["State", "Stand"],
  saved: ["Saved", "Gespart"],
  why: ["Why", "Warum"],
  "output.booked": ["booked", "gebucht"],
  "output.unpriced": ["without a price", "ohne Preis"],
  "output.pending": ["under way", "unterwegs"],
  "output.failed": ["failed", "fehlgeschlagen"],
  "output.rejected": ["refused", "abgelehnt"],
  "output.unknown": ["not booked yet", "noch nicht gebucht"],
  "cost.computed": ["computed from tokens", "aus Tokens berechnet"],
  "cost.confirmed": ["confirmed by the worker", "vom Worker bestätigt"],
  "cost.reported": ["as the app reports it", "wie die App es meldet"],
  "cost.none": ["unknown", "unbekannt"],

  // The books
  "books.generations": ["Generations", "Generierungen"],
  "books.cost": ["Cost", "Kosten"],
  "books.average": ["Cost of one, on average", "Kosten im Mittel"],
  "books.cache.rate": ["From the cache", "Aus dem Cache"],
  "books.hits": ["Hits", "Treffer"],
  "books.saved": ["Saved by hits", "Durch Treffer gespart"],
  "books.waited": ["Waited on average", "Im Mittel gewartet"],
  "books.confirmed": ["Of it confirmed by workers", "Davon von Workern bestätigt"],
  "books.computed": ["Of it computed by the server", "Davon vom Server berechnet"],
  "books.reported": ["Of it reported by apps", "Davon von Apps gemeldet"],
  "books.unpriced": ["Without a price", "Ohne Preis"],
  "books.refused": ["Refused or failed", "Abgelehnt oder fehlgeschlagen"],
  "books.by.model": ["Cost by model", "Kosten nach Modell"],
  "books.by.model.name": ["Model", "Modell"],
  "books.by.day": ["Cost by day", "Kosten nach Tag"],
  "books.by.day.name": ["Day (UTC)", "Tag (UTC)"],
  "books.by.kind": ["Stored, by kind", "Gespeichert, nach Art"],
  "books.by.latency": ["How long outputs took", "Wie lange Ergebnisse dauerten"],
  "books.longer": ["longer", "länger"],
  "books.sources": [
    "Outputs by the source of cost: {confirmed} confirmed, {computed} computed, {reported} reported, {none} without.",
    "Herkunft der Kosten: {confirmed} bestätigt, {computed} berechnet, {reported} gemeldet, {none} ohne.",
  ],
  budget: [
    "{spent} of {limit} are spent, {reserved} reserved for work under way.",
    "{spent} von {limit} sind ausgegeben, {reserved} für laufende Arbeit vorgemerkt.",
  ],
  "budget.name": ["Budget", "Budget"],
  alert: ["Storage is {level} % full since {at}.", "Der Speicher ist seit {at} zu {level} % voll."],
  "chart.table": ["As a table", "Als Tabelle"],
  "chart.empty": ["Nothing to show yet.", "Noch nichts zu zeigen."],
  "chart.parts": [
    "Solid: confirmed by workers. Dotted: computed by the server. Hatched: reported by apps.",
    "Voll: von Workern bestätigt. Gepunktet: vom Server berechnet. Schraffiert: von Apps gemeldet.",
  ],

  // Versions
  "versions.files": ["Saved files", "Gespeicherte Dateien"],
  "versions.empty": ["Nothing saved yet.", "Noch nichts gespeichert."],
  "versions.new": ["Save a new file", "Eine neue Datei speichern"],
  "versions.next": ["Save the next version", "Die nächste Version speichern"],
  "versions.save": ["Save", "Speichern"],
  "versions.or.file": ["Or a file, up to 10 MB", "Oder eine Datei, bis 10 MB"],
  "versions.same": ["The same bytes: there is no new version.", "Dieselben Bytes: Es gibt keine neue Version."],
  "versions.missing": ["This file is not there, or not yours.", "Diese Datei gibt es nicht, oder nicht für dich."],
  "versions.deleted": ["{name} is being deleted with all its versions.", "{name} wird mit allen Versionen gelöscht."],
  "versions.describe": ["Keep name and tags", "Name und Stichworte behalten"],
  description: ["What is new in it", "Was daran neu ist"],
  tags: ["Tags, with commas", "Stichworte, mit Komma"],
  "version.created": ["Created", "Angelegt"],
  "version.saved": ["Saved", "Gespeichert"],
  "version.auto": ["Saved automatically", "Automatisch gespeichert"],
  "version.reverted": ["Gone back to version {number}", "Zurück zu Version {number}"],
  "version.you": ["you", "du"],
  "version.pinned": ["pinned", "angeheftet"],
  "version.pin": ["Pin", "Anheften"],
  "version.unpin": ["Unpin", "Lösen"],
  "version.revert": ["Go back to it", "Dahin zurück"],
  "compare.two": ["Compare the two", "Beide vergleichen"],
  "compare.how": ["Choose any two versions below.", "Wähle unten zwei Versionen."],
  "compare.size": ["Change of size: {size}", "Änderung der Größe: {size}"],
  "compare.same": ["Both hold the same bytes.", "Beide enthalten dieselben Bytes."],
  "compare.by.size": ["Compared by size alone.", "Nur nach Größe verglichen."],
  "compare.cut": ["There is more than is shown.", "Es gibt mehr, als gezeigt wird."],
  "compare.line.ends": ["They differ at the ends of lines only.", "Sie unterscheiden sich nur an den Zeilenenden."],
  "compare.came.one": ["{count} line came", "{count} Zeile kam dazu"],
  "compare.came.other": ["{count} lines came", "{count} Zeilen kamen dazu"],
  "compare.went.one": ["{count} line went", "{count} Zeile fiel weg"],
  "compare.went.other": ["{count} lines went", "{count} Zeilen fielen weg"],
  "compare.values": ["Values by their path", "Werte nach ihrem Pfad"],
  "compare.slide": ["How much of the version before is shown", "Wie viel von der Version davor zu sehen ist"],
  "compare.slide.how": [
    "Left of the edge: before. Right of it: after.",
    "Links der Kante: vorher. Rechts davon: nachher.",
  ],
  "compare.where": ["Where they differ", "Wo sie sich unterscheiden"],
  "compare.share": ["{share} of the picture differs.", "{share} des Bildes unterscheiden sich."],
  "compare.sizes": ["{one} became {other}.", "Aus {one} wurde {other}."],
  "json.added": ["came", "kam dazu"],
  "json.removed": ["went", "fiel weg"],
  "json.changed": ["changed", "geändert"],
  line: ["Line", "Zeile"],
  before: ["Before", "Vorher"],
  after: ["After", "Nachher"],
  path: ["Path", "Pfad"],

  // Storage
  "usage.name": ["Used room", "Belegter Platz"],
  usage: ["Saved files take {used}.", "Gespeicherte Dateien belegen {used}."],
  "usage.of": [
    "Saved files take {used} of {limit} ({share}).",
    "Gespeicherte Dateien belegen {used} von {limit} ({share}).",
  ],
  "usage.reserved": ["{size} are reserved for uploads.", "{size} sind für Uploads vorgemerkt."],
  advice: ["For more room", "Für mehr Platz"],
  "advice.asking": ["Looking …", "Wird geprüft …"],
  "advice.none": ["There is nothing to tidy.", "Es gibt nichts aufzuräumen."],
  "advice.frees": ["Frees {size}.", "Gibt {size} frei."],
  "advice.old_versions": ["Old versions", "Alte Versionen"],
  "advice.auto_saves": ["Automatic saves", "Automatische Speicherungen"],
  "advice.untouched_files": ["Files nobody touched for long", "Lange unberührte Dateien"],
  "advice.duplicates": ["Files with the same bytes", "Dateien mit denselben Bytes"],
  "advice.large_file": ["A large file", "Eine große Datei"],
  "advice.do.cleanup": ["Show what would go", "Zeigen, was wegfiele"],
  "advice.do.archive": ["Archive them", "Archivieren"],
  "advice.do.merge": ["Make one of them", "Zu einer machen"],
  "advice.do.delete": ["Delete it", "Löschen"],
  "advice.plan": ["This would go, and free {size}", "Das fiele weg und gäbe {size} frei"],
  "advice.run": ["Clean up", "Aufräumen"],
  "advice.cleaning.one": ["{count} version is being deleted.", "{count} Version wird gelöscht."],
  "advice.cleaning.other": ["{count} versions are being deleted.", "{count} Versionen werden gelöscht."],
  "advice.archiving.one": ["{count} file is being archived.", "{count} Datei wird archiviert."],
  "advice.archiving.other": ["{count} files are being archived.", "{count} Dateien werden archiviert."],
  "advice.merging": ["{count} files become one.", "Aus {count} Dateien wird eine."],
  archived: ["Archived files", "Archivierte Dateien"],
  "archived.since": ["Since", "Seit"],
  "archived.restore": ["Take out of the archive", "Aus dem Archiv holen"],
  drive: ["Google Drive", "Google Drive"],
  "drive.unlinked": [
    "Link your Drive, and every save of a file goes there as well.",
    "Verbinde dein Drive, und jede gespeicherte Datei geht auch dorthin.",
  ],
  "drive.active": ["Every save goes to the Drive of {email} as well.", "Alles Gespeicherte geht auch ins Drive von {email}."],
  "drive.broken": [
    "The link to the Drive of {email} no longer holds. Link it anew, and what waits goes there.",
    "Die Verbindung zum Drive von {email} gilt nicht mehr. Verbinde es neu, dann geht dorthin, was wartet.",
  ],
  "drive.room": ["{used} of {limit} are used there.", "{used} von {limit} sind dort belegt."],
  "drive.link": ["Link Google Drive", "Google Drive verbinden"],
  "drive.unlink": ["Unlink", "Verbindung lösen"],
  "drive.unlinking": ["The Drive is being unlinked. What lies there stays.", "Die Verbindung wird gelöst. Was dort liegt, bleibt."],
  "drive.linked": ["The Drive is linked.", "Das Drive ist verbunden."],
  export: ["Take your data along", "Deine Daten mitnehmen"],
  "export.why": [
    "One JSON file with the documents behind these rooms, and an address for each stored file.",
    "Eine JSON-Datei mit den Dokumenten hinter diesen Räumen und einer Adresse zu jeder gespeicherten Datei.",
  ],
  "export.do": ["Export", "Exportieren"],
  "export.at": ["Reading {name} …", "{name} wird gelesen …"],
  "export.done": ["Done: it is among your downloads.", "Fertig: bei deinen Downloads."],
  erase: ["Erase everything", "Alles löschen"],
  "erase.why": [
    "Files, documents, books and the account itself go within minutes. There is no way back.",
    "Dateien, Dokumente, Bücher und das Konto selbst gehen binnen Minuten. Es gibt keinen Weg zurück.",
  ],
  "erase.word": ["erase", "löschen"],
  "erase.sure": ["Write “{word}” to say that you are sure", "Schreib „{word}“, wenn du sicher bist"],
  "erase.not.sure": ["Nothing is erased: write “{word}” first.", "Nichts wird gelöscht: Schreib zuerst „{word}“."],
  "erase.do": ["Erase everything of mine", "Alles von mir löschen"],

  // Operators
  "operators.users": ["Users by cost", "Nutzer nach Kosten"],
  "operators.user": ["User", "Nutzer"],
  "operators.letters": ["Events that could not be handled", "Ereignisse, die nicht verarbeitet werden konnten"],
  "operators.jobs": ["Jobs", "Aufträge"],
  "operators.open.one": ["{count} is open", "{count} ist offen"],
  "operators.open.other": ["{count} are open", "{count} sind offen"],
  "operators.no.letters": ["None is open.", "Keines ist offen."],
  "operators.media.replay": ["Once more: files", "Noch einmal: Dateien"],
  "operators.ledger.replay": ["Once more: books", "Noch einmal: Bücher"],
  "operators.artifacts.cleanup": ["Once more: saved files", "Noch einmal: gespeicherte Dateien"],
  "operators.started": ["{job} has been asked for.", "{job} ist angefordert."],
  "operators.stored": ["Stored", "Gespeichert"],
  "operators.aside": ["Users set aside", "Beiseitegestellte Nutzer"],
  "operators.trigger": ["Function", "Funktion"],
  "operators.about": ["About", "Betrifft"],
  "operators.since": ["Since", "Seit"],
  "operators.done": ["Done", "Erledigt"],
  "operators.failures": ["Failures", "Fehler"],

  // What goes wrong
  "error.other": ["This did not work: {message}", "Das hat nicht geklappt: {message}"],
  "error.unknown": ["This did not work.", "Das hat nicht geklappt."],
  "error.permission-denied": [
    "The rules refuse this: it is not yours, or a value is not allowed.",
    "Die Regeln lehnen das ab: Es gehört dir nicht, oder ein Wert ist nicht erlaubt.",
  ],
  "error.unavailable": [
    "The service cannot be reached now. Try again later.",
    "Der Dienst ist gerade nicht erreichbar. Versuch es später noch einmal.",
  ],
  "error.uploading": [
    "Files of yours are still on their way. Wait for them in the gallery, or cancel them there.",
    "Dateien von dir sind noch unterwegs. Warte in der Galerie auf sie, oder brich sie dort ab.",
  ],
  "error.unsent": [
    "There is no network, and something you wrote is not sent yet. Wait until it is, or it would be lost.",
    "Es gibt kein Netz, und etwas von dir ist noch nicht gesendet. Warte, bis es gesendet ist, sonst ginge es verloren.",
  ],
  "error.auth/email-already-in-use": [
    "This e-mail has an account already: sign in instead.",
    "Diese E-Mail hat schon ein Konto: Melde dich stattdessen an.",
  ],
  "error.auth/weak-password": [
    "The password is too short: six characters at least.",
    "Das Passwort ist zu kurz: mindestens sechs Zeichen.",
  ],
  "error.auth/invalid-email": ["This is no e-mail address.", "Das ist keine E-Mail-Adresse."],
  "error.auth/invalid-credential": ["E-mail or password is wrong.", "E-Mail oder Passwort ist falsch."],
  "error.auth/wrong-password": ["E-mail or password is wrong.", "E-Mail oder Passwort ist falsch."],
  "error.auth/user-not-found": ["E-mail or password is wrong.", "E-Mail oder Passwort ist falsch."],
  "error.auth/network-request-failed": ["No network. Try again later.", "Kein Netz. Versuch es später noch einmal."],
  "error.auth/requires-recent-login": [
    "Sign in once more first: this is only done for somebody who has just signed in.",
    "Melde dich zuerst neu an: Das geht nur kurz nach einer Anmeldung.",
  ],
  "error.auth/too-many-requests": ["Too many tries. Wait a little.", "Zu viele Versuche. Warte ein wenig."],
  "error.storage/unauthorized": ["The rules refuse this file.", "Die Regeln lehnen diese Datei ab."],
  "error.storage/unauthenticated": ["Your sign-in has run out.", "Deine Anmeldung ist abgelaufen."],
  "error.storage/quota-exceeded": ["There is no room left.", "Es ist kein Platz mehr."],
  "error.storage/retry-limit-exceeded": [
    "Storage did not answer for too long. Try again.",
    "Der Speicher hat zu lange nicht geantwortet. Versuch es noch einmal.",
  ],
  "error.storage/object-not-found": ["The file is gone.", "Die Datei ist nicht mehr da."],
};

let chosen = localStorage.getItem("language") ?? (navigator.language.startsWith("de") ? "de" : "en");

export function language() {
  return chosen;
}

/** From now on; whoever shows texts hears `languagechosen` and shows them anew. */
export function speak(code) {
  chosen = code;
  localStorage.setItem("language", code);
  dispatchEvent(new Event("languagechosen"));
}

export function has(key) {
  return Object.hasOwn(TEXTS, key);
}

/** The text of `key`; `plain` where there is none, as for a word that newer functions use. */
export function sayOr(key, plain) {
  return has(key) ? say(key) : String(plain);
}

/** The text of `key` with `values` put in its braces. */
export function say(key, values = {}) {
  const text = TEXTS[key]?.[chosen === "de" ? 1 : 0];
  if (text === undefined) throw new Error(`there is no text \`${key}\``);
  return text.replace(/\{(\w+)\}/g, (_, name) => apart(String(values[name])));
}

/** What somebody wrote, so that its direction ends with it and turns no word of the sentence around it. */
function apart(value) {
  const plain = value.replace(/[\u202a-\u202e\u2066-\u2069]/g, "");
  return /[\u0590-\u08ff\u200f\ufb1d-\ufefc]/.test(plain) ? `\u2068${plain}\u2069` : plain;
}

/** As much of a stored text as somebody reads in a list; nothing of what is no text. */
export function beginning(text, most = 300) {
  if (typeof text !== "string") return "";
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** `key.one` or `key.other`, by the language's own rule, with `{count}` in it. */
export function sayCount(key, count, values = {}) {
  const rule = new Intl.PluralRules(chosen).select(count);
  return say(`${key}.${rule === "one" ? "one" : "other"}`, { ...values, count: number(count) });
}

export function number(value, options) {
  return new Intl.NumberFormat(chosen, options).format(value);
}

export function dollars(value) {
  const digits = value !== 0 && Math.abs(value) < 1 ? 4 : 2;
  return number(value, { style: "currency", currency: "USD", minimumFractionDigits: 2, maximumFractionDigits: digits });
}

export function percent(share) {
  return number(share, { style: "percent", maximumFractionDigits: 1 });
}

export function bytes(count) {
  let [value, unit] = [count, "byte"];
  for (const larger of ["kilobyte", "megabyte", "gigabyte", "terabyte"]) {
    if (value < 1000) break;
    [value, unit] = [value / 1000, larger];
  }
  // Single bytes are spelled out; `Intl` knows no plural of them.
  if (unit === "byte") return `${number(value)} ${chosen === "de" ? "Byte" : value === 1 ? "byte" : "bytes"}`;
  return number(value, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: value < 10 ? 1 : 0 });
}

/** A size that changed, with its sign; nought where it did not. */
export function bytesChanged(change) {
  const sign = change < 0 ? "−" : change > 0 ? "+" : "±";
  return `${sign}${bytes(Math.abs(change))}`;
}

/** A moment as Firestore or JSON has it. */
export function moment(value) {
  return dated(value, { dateStyle: "medium", timeStyle: "short" });
}

/** The day that a moment lies in, where the reader is. */
export function day(value) {
  return dated(value, { dateStyle: "full" });
}

function dated(value, style) {
  if (value === null || value === undefined) return "";
  const date = value.toDate ? value.toDate() : new Date(value);
  return Number.isNaN(date.valueOf()) ? "" : new Intl.DateTimeFormat(chosen, style).format(date);
}

"""Rules for a collection of notes, and cases for them: what the tests of the rules tools work on."""

RULES = """\
rules_version = '2';
service cloud.firestore {
  match /databases/{database}/documents {
    function signedIn() { return request.auth != null; }
    match /notes/{id} {
      allow get, list: if signedIn() && resource.data.owner == request.auth.uid;
      allow create: if signedIn() && request.resource.data.owner == request.auth.uid
        && request.resource.data.text.size() <= 10;
      allow update: if resource.data.owner == request.auth.uid
        && request.resource.data.diff(resource.data).affectedKeys().hasOnly(['text']);
      allow delete: if request.auth.token.admin == true;
    }
  }
}
"""

CASES = """\
rules: notes.rules
users:
  alice: {}
  root: {admin: true}
documents:
  notes/n1: {owner: alice, text: hi}
cases:
  - name: owners read
    as: alice
    get: notes/n1
    expect: allowed
  - as: [root, nobody]
    get: notes/n1
    expect: denied
    because: "false"
  - as: alice
    list: notes
    where: [[owner, ==, alice]]
    expect: allowed
  - as: alice
    create: notes/n2
    with: {owner: alice, text: short}
    expect: allowed
  - as: root
    delete: notes/n1
    expect: allowed
  - as: alice
    update: notes/n1
    change: {text: ho}
    expect: allowed
  - as: alice
    update: notes/n1
    change: {owner: bob}
    expect: denied
"""

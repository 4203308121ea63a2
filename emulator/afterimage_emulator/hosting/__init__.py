"""Firebase Hosting: what `hosting` of firebase.json describes, served from the folder as it is at each request."""

// The API key of this tab: in memory, and in the tab's own storage only if the visitor says so. It
// never becomes part of a URL.

const NAME = "darkroom-api-key";
let key = stored();

function stored() {
  try {
    return sessionStorage.getItem(NAME) ?? "";
  } catch {
    return ""; // the browser allows no storage
  }
}

/** Return the API key; empty if nobody is signed in. */
export function apiKey() {
  return key;
}

/** Take an API key. With `keep` it survives a reload of this tab. */
export function signIn(given, keep) {
  key = given;
  try {
    if (keep) sessionStorage.setItem(NAME, given);
    else sessionStorage.removeItem(NAME);
  } catch {
    // Then a reload asks for the key again.
  }
}

/** Forget the API key. */
export function signOut() {
  signIn("", false);
}

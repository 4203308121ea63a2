// What a deployment of this page may set.

/** The reCAPTCHA Enterprise key that App Check uses; empty: no App Check. docs/page.md says what else it needs. */
export const APP_CHECK_SITE_KEY = "";

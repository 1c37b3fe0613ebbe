import site from 'consentd:site';

/** Name of the cookie and of the localStorage key that hold the choice. */
export const storageKey = 'consentd_' + site.id;

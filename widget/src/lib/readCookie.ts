/** Reads a cookie; '' when there is none, or when the page may not have any. */
export function readCookie(name: string): string {
  try {
    return ('; ' + document.cookie).split(`; ${name}=`)[1]?.split(';')[0] ?? '';
  } catch {
    return ''; // a sandboxed frame
  }
}

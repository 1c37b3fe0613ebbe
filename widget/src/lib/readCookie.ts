/** Reads a cookie; '' when there is none, or when the page may not have any. */
export function readCookie(name: string): string {
  try {
    return RegExp('(^|; )' + name + '=([^;]*)').exec(document.cookie)?.[2] ?? '';
  } catch {
    return ''; // a sandboxed frame
  }
}

let made: ReturnType<NonNullable<Window['trustedTypes']>['createPolicy']> | undefined;

/**
 * The Trusted Types policy. The page's own gated scripts and embeds are what it vouches for, and nothing else
 * ever passes through it.
 */
export function trust(): typeof made {
  const same = (s: string) => s;
  try {
    made ??= window.trustedTypes?.createPolicy('consentd', { createScript: same, createScriptURL: same });
  } catch {
    // The page lists the policies it takes, and not this one: its default policy, if any, decides.
  }
  return made;
}

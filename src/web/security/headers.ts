/**
 * The headers of every answer. A table of our own, and not a plugin, because the answers that Fastify gives before its hooks run (a broken URL,
 * a parameter that is too long) must carry them too (reference/web-platform.md §3.1, "Error leaks").
 */
export const SECURITY_HEADERS = {
  // No inline script, no inline style, nothing from elsewhere: what a task returns can be shown without fear.
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
} as const

/** A year, for this host alone; sent only where the visitor came by https. */
export const STRICT_TRANSPORT = { 'strict-transport-security': 'max-age=31536000' } as const

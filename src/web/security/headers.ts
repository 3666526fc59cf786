/**
 * The headers of every answer. They are a table and not a plugin, because answers that Fastify sends before its hooks run (a
 * broken URL, a parameter that is too long) need them too.
 */
export const SECURITY_HEADERS = {
  // Allows no inline script, no inline style and no other origin, so a result that contains markup is harmless.
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

/** Valid for one year, for this host only. Sent only on https requests. */
export const STRICT_TRANSPORT = { 'strict-transport-security': 'max-age=31536000' } as const

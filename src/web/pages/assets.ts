import type { FastifyInstance } from 'fastify'
import type { WebContext } from '../web-context.ts'

/** Registers one route for each asset file. */
export function registerAssets(server: FastifyInstance, { assets }: WebContext): void {
  for (const { url, type, content } of Object.values(assets)) {
    server.get(url, { config: { kind: 'public' } }, (_request, reply) =>
      reply.header('cache-control', 'public, max-age=31536000, immutable').type(type).send(content),
    )
  }
}

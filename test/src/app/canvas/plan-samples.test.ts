import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createPlanner, type PlanOptions, planOf } from '../../../../src/app/canvas/plan.ts'
import { decodeBody, fullHeaders } from '../../../../src/message/message.ts'
import type { Signature } from '../../../../src/message/signature.ts'
import { chainOf, chordOf, groupOf, task } from '../../../support/signatures.ts'

const REPLY_TO = '2c1f2454-9643-3d55-9306-72075966d68f'

const sig = (name: string, args?: readonly unknown[], options?: Signature['options']) => task(`tasks.${name}`, args, options)
const chain = (...tasks: Signature[]) => chainOf(tasks)
const group = (...tasks: Signature[]) => groupOf(tasks)

const read = (name: string) =>
  JSON.parse(readFileSync(join(import.meta.dirname, `../../../fixtures/celery-samples/${name}.json`), 'utf8'))

/** Replaces ids by the order of their first appearance, because they differ from run to run, and drops nulls, which mean the same as absence. */
function renamed(value: unknown): unknown {
  const names = new Map<string, string>()
  const rename = (inner: unknown): unknown => {
    if (typeof inner === 'string' && /^[0-9a-f]{8}-/.test(inner) && inner !== REPLY_TO) {
      if (!names.has(inner)) names.set(inner, `id ${names.size}`)
      return names.get(inner)
    }
    if (Array.isArray(inner)) return inner.map(rename)
    if (typeof inner !== 'object' || inner === null) return inner
    const entries = Object.entries(inner).filter(([, element]) => element !== null)
    return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, element]) => [key, rename(element)]))
  }
  return rename(value)
}

const SAMPLES: readonly [name: string, signature: Signature, options?: PlanOptions][] = [
  ['canvas-chord_header_task.amqp.celery56', chordOf([sig('add', [1, 1]), sig('add', [2, 2])], sig('xsum'))],
  [
    'canvas-chord_body_is_chain.amqp.celery56',
    chordOf([sig('add', [1, 1]), sig('add', [2, 2])], chain(sig('xsum'), sig('mul', [10]))),
  ],
  [
    'canvas-chord_of_chains_first.amqp.celery56',
    chordOf([chain(sig('add', [1, 1]), sig('mul', [2])), chain(sig('add', [2, 2]), sig('mul', [2]))], sig('xsum')),
  ],
  ['canvas-chain_ends_in_group.amqp.celery56', chain(sig('add', [1, 1]), group(sig('add', [1]), sig('add', [2])))],
  [
    'canvas-chain_with_group_then_task.amqp.celery56',
    chain(sig('add', [1, 1]), group(sig('add', [1]), sig('add', [2])), sig('xsum')),
  ],
  [
    'canvas-stamped.amqp.celery56',
    chain(
      sig('add', [1, 2], { stamped_headers: ['mystamp'], mystamp: 'abc' }),
      sig('mul', [3], { stamped_headers: ['mystamp'], mystamp: 'abc' }),
    ),
  ],
  ['task-v2-chain3_first.amqp.celery56', chain(sig('add', [1, 2]), sig('mul', [3]), sig('add', [4]))],
  ['task-v2-group_member.amqp.celery56', group(sig('add', [0, 0]), sig('add', [1, 1]))],
  [
    'task-v2-link_linkerror.amqp.celery56',
    sig('add', [2, 3], {
      task_id: '00000000-0000-4000-8000-000000000006',
      link: [sig('mul', [10])],
      link_error: [sig('err_handler')],
    }),
  ],
]

describe('a plan', () => {
  it.each(SAMPLES)('starts with the same message as in Celery for the sample %s', (name, signature, options) => {
    const sample = read(name)
    const replyTo = sample.properties.reply_to
    const { messages } = planOf(signature, { replyTo, ...options })
    const [first] = messages
    const { args, kwargs, embed } = decodeBody(first!.body)
    const { lang, origin, argsrepr, kwargsrepr, ...headers } = fullHeaders(first!)
    const ours = { headers, body: [args, kwargs, embed], reply_to: first!.properties.reply_to, queue: first!.queue }
    const { lang: _lang, origin: _origin, argsrepr: _args, kwargsrepr: _kwargs, ...theirs } = sample.headers
    expect(renamed(ours)).toEqual(
      renamed({ headers: theirs, body: sample.body_json, reply_to: replyTo, queue: sample.routing_key }),
    )
  })

  it("sends the body of a chord in the same message as Celery's worker", () => {
    const sample = read('canvas-chord_body_published_by_worker.amqp.celery56')
    const { chords } = planOf(chordOf([sig('add', [1, 1]), sig('add', [2, 2])], sig('xsum')), { replyTo: REPLY_TO })
    const parent = 'a0000000-0000-4000-8000-000000000000'
    const { messages } = createPlanner().planSignature(chords[0]!.body, [[2, 4]], { parentId: parent, rootId: parent })
    const { lang, origin, argsrepr, kwargsrepr, ...headers } = fullHeaders(messages[0]!)
    const { lang: _lang, origin: _origin, argsrepr: _args, kwargsrepr: _kwargs, ...theirs } = sample.headers
    const { args, kwargs, embed } = decodeBody(messages[0]!.body)
    expect(renamed([headers, args, kwargs, embed])).toEqual(renamed([theirs, ...sample.body_json]))
    expect(messages[0]!.properties.reply_to).toBe(sample.properties.reply_to)
    expect(headers.group).toBe(chords[0]!.id)
  })
})

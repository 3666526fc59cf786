import { expect, test } from 'vitest'
import { type FormationOptions, parseConcurrency, planFormation } from '../../supervisor/formation.ts'

const entries = ['beat', 'web', 'worker'].map((name) => ({ name, command: `run ${name}` }))
const cases: { name: string; options: FormationOptions; ports: Record<string, number> }[] = [
  {
    name: 'plans one instance of each type, with ports 100 apart',
    options: {},
    ports: { 'beat.1': 5000, 'web.1': 5100, 'worker.1': 5200 },
  },
  {
    name: 'gives the instances of a type consecutive ports',
    options: { concurrency: parseConcurrency('web=2'), basePort: 6000 },
    ports: { 'beat.1': 6000, 'web.1': 6100, 'web.2': 6101, 'worker.1': 6200 },
  },
  {
    name: 'plans no instance of a type with concurrency 0',
    options: { concurrency: parseConcurrency('beat=0,worker=0') },
    ports: { 'web.1': 5100 },
  },
  {
    name: 'applies "all" to the types that are not listed',
    options: { concurrency: parseConcurrency('all=0,web=1') },
    ports: { 'web.1': 5100 },
  },
  {
    name: 'gives a process that is started alone the same port as in the whole formation',
    options: { only: ['worker'] },
    ports: { 'worker.1': 5200 },
  },
  {
    name: 'gives web the base port if the platform routes to it',
    options: { webFirst: true },
    ports: { 'beat.1': 5100, 'web.1': 5000, 'worker.1': 5200 },
  },
]
test.each(cases)('the formation $name', ({ options, ports }) => {
  expect(Object.fromEntries(planFormation(entries, options).map((each) => [each.name, each.port]))).toEqual(ports)
})

test('the formation rejects an unknown process and lists the known processes', () => {
  expect(() => planFormation(entries, { only: ['web', 'wrker'] })).toThrow(
    'no process "wrker" in the Procfile; its processes are beat, web, worker',
  )
  expect(() => planFormation(entries, { concurrency: parseConcurrency('x=1') })).toThrow('no process "x"')
  expect(() => planFormation(entries, { only: ['all'] })).toThrow('no process "all"')
})

test.each(['web', 'web=', 'web=-1', 'web=1.5', 'web=x', '=1'])('the formation rejects --concurrency %s', (text) => {
  expect(() => parseConcurrency(text)).toThrow(/is not NAME=COUNT/)
})

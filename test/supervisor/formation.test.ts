import { expect, test } from 'vitest'
import { type FormationOptions, parseConcurrency, planFormation } from '../../supervisor/formation.ts'

const entries = ['beat', 'web', 'worker'].map((name) => ({ name, command: `run ${name}` }))
const cases: { name: string; options: FormationOptions; ports: Record<string, number> }[] = [
  { name: 'one of each, 100 apart by position', options: {}, ports: { 'beat.1': 5000, 'web.1': 5100, 'worker.1': 5200 } },
  {
    name: 'instances are one apart',
    options: { concurrency: parseConcurrency('web=2'), basePort: 6000 },
    ports: { 'beat.1': 6000, 'web.1': 6100, 'web.2': 6101, 'worker.1': 6200 },
  },
  { name: 'none of a type', options: { concurrency: parseConcurrency('beat=0,worker=0') }, ports: { 'web.1': 5100 } },
  {
    name: 'all stands for the types not named',
    options: { concurrency: parseConcurrency('all=0,web=1') },
    ports: { 'web.1': 5100 },
  },
  { name: 'a process started alone keeps its port', options: { only: ['worker'] }, ports: { 'worker.1': 5200 } },
  {
    name: 'web gets the base itself where a platform routes to it',
    options: { webFirst: true },
    ports: { 'beat.1': 5100, 'web.1': 5000, 'worker.1': 5200 },
  },
]
test.each(cases)('$name', ({ options, ports }) => {
  expect(Object.fromEntries(planFormation(entries, options).map((each) => [each.name, each.port]))).toEqual(ports)
})

test('an unknown process is refused with the known ones', () => {
  expect(() => planFormation(entries, { only: ['web', 'wrker'] })).toThrow(
    'no process "wrker" in the Procfile; it has beat, web, worker',
  )
  expect(() => planFormation(entries, { concurrency: parseConcurrency('x=1') })).toThrow('no process "x"')
  expect(() => planFormation(entries, { only: ['all'] })).toThrow('no process "all"')
})

test.each(['web', 'web=', 'web=-1', 'web=1.5', 'web=x', '=1'])('--concurrency %s is refused', (text) => {
  expect(() => parseConcurrency(text)).toThrow(/is not NAME=COUNT/)
})

import { describe, expect, it } from 'vitest'
import { correlationOf, knownTask } from '../../../../src/broker/amqp/collect.ts'
import { readResultDocument } from '../../../../src/broker/celery-results/document.ts'
import { createMessage } from '../../../../src/message/message.ts'

const NOW = Date.parse('2026-11-22T12:00:00Z')
const read = (document: object | string) =>
  readResultDocument(typeof document === 'string' ? document : JSON.stringify(document), { task: 'tasks.add', queue: 'q' }, NOW)
const empty = { task: 'tasks.add', queue: 'q', worker: null, traceback: null, startedAt: null, doneAt: null }

describe('readResultDocument', () => {
  it.each<[string, object | string, object]>([
    [
      'a success by rpc://, which has no date',
      { task_id: 'i', status: 'SUCCESS', result: 5, traceback: null, children: [] },
      { ...empty, id: 'i', state: 'SUCCESS', result: '5', doneAt: NOW },
    ],
    [
      'a success in Redis',
      '{"status": "SUCCESS", "result": [1, "é"], "traceback": null, "children": [], "date_done": "2026-11-22T15:50:16.042270+00:00", "task_id": "i"}',
      { ...empty, id: 'i', state: 'SUCCESS', result: '[1,"é"]', doneAt: Date.parse('2026-11-22T15:50:16.042Z') },
    ],
    [
      'a date without a zone, as Celery 5.2 writes it',
      { task_id: 'i', status: 'SUCCESS', result: null, date_done: '2026-11-22T15:52:24.922000' },
      { ...empty, id: 'i', state: 'SUCCESS', result: 'null', doneAt: Date.parse('2026-11-22T15:52:24.922Z') },
    ],
    [
      'a failure',
      {
        task_id: 'i',
        status: 'FAILURE',
        result: { exc_type: 'ValueError', exc_message: ['b'], exc_module: 'builtins' },
        traceback: 'T\0',
      },
      {
        ...{ ...empty, id: 'i', state: 'FAILURE', traceback: 'T\uFFFD', doneAt: NOW },
        result: '{"exc_type":"ValueError","exc_message":["b"],"exc_module":"builtins"}',
      },
    ],
    [
      'a start with the name of the worker',
      { task_id: 'i', status: 'STARTED', result: { pid: 1, hostname: 'w@h' } },
      { ...empty, id: 'i', state: 'STARTED', result: null, worker: 'w@h', startedAt: NOW },
    ],
    [
      'a retry without an exception',
      { task_id: 'i', status: 'RETRY', result: null, traceback: 'T' },
      { ...empty, id: 'i', state: 'RETRY', result: 'null', traceback: 'T' },
    ],
    [
      'an extended result',
      { task_id: 'i', status: 'SUCCESS', result: 1, name: 'tasks.other', queue: 'z', worker: 'w@h' },
      { ...empty, id: 'i', state: 'SUCCESS', result: '1', task: 'tasks.other', queue: 'z', worker: 'w@h', doneAt: NOW },
    ],
    [
      'values that JSON does not have',
      '{"task_id": "i", "status": "SUCCESS", "result": [NaN, {"__type__": "decimal", "__value__": "1.10"}]}',
      { ...empty, id: 'i', state: 'SUCCESS', result: '[null,"1.10"]', doneAt: NOW },
    ],
  ])('reads %s', (_name, document, outcome) => expect(read(document)).toEqual(outcome))

  it.each([
    [
      'a success',
      'SUCCESS',
      'the task succeeded, but its result cannot be stored: the integer 18446744073709551617 cannot be held exactly',
    ],
    ['a failure', 'FAILURE', 'the integer 18446744073709551617 cannot be held exactly'],
  ])('turns %s with an integer beyond 2^53 into a FAILURE with the reason', (_name, status, words) => {
    const outcome = read(`{"task_id": "i", "status": "${status}", "result": [NaN, 18446744073709551617]}`)
    expect(outcome).toMatchObject({ id: 'i', state: 'FAILURE', doneAt: NOW })
    expect(JSON.parse(outcome?.result ?? '')).toMatchObject({
      exc_type: 'DecodeError',
      exc_message: [expect.stringContaining(words)],
    })
  })

  it.each([
    ['text that is not JSON', 'hello'],
    ['a list', '[]'],
    ['a document without an id', { status: 'SUCCESS', result: 1 }],
    ['an empty id', { task_id: '', status: 'SUCCESS' }],
    ['a custom state of the task', { task_id: 'i', status: 'PROGRESS', result: { percent: 5 } }],
    ['the state PENDING', { task_id: 'i', status: 'PENDING' }],
  ])('ignores %s', (_name, document) => expect(read(document)).toBeUndefined())
})

describe('a correlation id', () => {
  const message = (id: string, task: string) => createMessage({ id, task, args: [], queue: 'q' })

  it('carries the name of the task', () => {
    expect(knownTask(correlationOf(message('an id', 'tasks.add')))).toEqual({ task: 'tasks.add', queue: 'q' })
  })

  it.each([
    ['too long with the names of task and queue', correlationOf(message('i'.repeat(200), 't'.repeat(200)))],
    ['made by Celery', 'an-id'],
    ['absent', undefined],
  ])('names no task if it is %s', (_name, id) => expect(knownTask(id)).toBeUndefined())
})

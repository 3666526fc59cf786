import { describe, expect, test } from 'vitest'
import { seedsOf } from '../../../src/beat/seeds.ts'
import { type Environment, parseConfig } from '../../../src/config.ts'

const HEROKU = { DYNO: 'web.1', HEROKU_APP_DEFAULT_DOMAIN_NAME: 'shop.herokuapp.com' }
const RENDER = { RENDER: 'true', RENDER_EXTERNAL_URL: 'https://shop.onrender.com' }
const KOYEB = { KOYEB_APP_NAME: 'shop', KOYEB_PUBLIC_DOMAIN: 'shop.koyeb.app' }
const FLY = { FLY_APP_NAME: 'shop', PUBLIC_URL: 'https://shop.fly.dev' }
const URL = { PUBLIC_URL: 'https://example.org' }

describe('keep_awake', () => {
  const cases: [string, Environment, number | undefined, RegExp][] = [
    ['Heroku sleeps after 30 minutes without a visit', HEROKU, 25, /heroku/],
    ['Render sleeps after 15', RENDER, 10, /render/],
    ['Koyeb sleeps after an hour', KOYEB, 30, /koyeb/],
    ['Heroku without dyno metadata has no known URL', { DYNO: 'web.1' }, undefined, /set PUBLIC_URL/],
    ['Fly does not sleep for want of visits from outside', FLY, undefined, /do not keep this platform awake/],
    ['a server of one’s own never sleeps', URL, undefined, /do not keep this platform awake/],
    ['nothing is known', {}, undefined, /set PUBLIC_URL/],
    ['off, whatever the platform', { ...HEROKU, KEEP_AWAKE: 'off' }, undefined, /KEEP_AWAKE=off/],
    ['minutes, whatever the platform', { ...URL, KEEP_AWAKE: '7' }, 7, /KEEP_AWAKE/],
    ['minutes win over the platform’s', { ...RENDER, KEEP_AWAKE: '14' }, 14, /KEEP_AWAKE/],
    ['minutes without a URL to visit', { KEEP_AWAKE: '7' }, undefined, /set PUBLIC_URL/],
    ['auto is the default', { ...RENDER, KEEP_AWAKE: 'auto' }, 10, /render/],
  ]
  test.each(cases)('%s', (_, env, minutes, reason) => {
    const { seeds, keepAwake } = seedsOf(parseConfig(env))
    const seed = seeds.find(({ name }) => name === 'onedyno.keep_awake')
    expect(seed && { every: seed.every, period: seed.period }).toEqual(minutes && { every: minutes, period: 'minutes' })
    expect(keepAwake).toMatch(reason)
    expect(keepAwake).toMatch(minutes === undefined ? /^off: / : new RegExp(`^every ${minutes} minutes: `))
  })

  test('missed visits are not made up for: a visit of an hour ago wakes nobody', () => {
    expect(seedsOf(parseConfig(HEROKU)).seeds.find(({ name }) => name === 'onedyno.keep_awake')?.catchup).toBe('skip')
  })
})

test('clean_up is always there, every hour, and one run stands for those that were missed', () => {
  for (const env of [{}, HEROKU, { KEEP_AWAKE: 'off' }])
    expect(seedsOf(parseConfig(env)).seeds[0]).toMatchObject({
      name: 'onedyno.clean_up',
      every: 1,
      period: 'hours',
      catchup: 'one',
    })
})

import { expect, test } from 'vitest'
import { parsePasswd } from '../../../src/embedded/server-user.ts'

test('parsePasswd() reads the users, and skips lines in another format', () => {
  const text = '# comment\nroot:x:0:0:root:/root:/bin/sh\n+::::::\nnobody:*:65534:65533:Nobody:/:/usr/sbin/nologin\nbroken\n\n'
  expect(parsePasswd(text)).toEqual([
    { name: 'root', uid: 0, gid: 0 },
    { name: 'nobody', uid: 65_534, gid: 65_533 },
  ])
})

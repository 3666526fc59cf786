import { expect, test } from 'vitest'
import { duration, relative } from '../../../../src/web/views/moment.ts'
import { showValue } from '../../../../src/web/views/value.ts'

test.each([
  ['a string as it is', 'a\nb', '<pre tabindex="0">a\nb</pre>'],
  ['null', null, '<pre tabindex="0">null</pre>'],
  ['a number', 1.5, '<pre tabindex="0">1.5</pre>'],
  ['a short list as JSON', [200, 'ok'], '<pre tabindex="0">[\n  200,\n  &#34;ok&#34;\n]</pre>'],
  ['markup as text', '<b>', '<pre tabindex="0">&#60;b&#62;</pre>'],
])('a page shows the value of a result: %s', (_what, value, html) => {
  expect(showValue(value)).toBe(html)
})

test('a page shows the result of fetch_url part by part, and keeps its line breaks', () => {
  expect(showValue([200, '<html>\n</html>'])).toBe(
    '<dl class="parts"><dt>0</dt><dd><pre tabindex="0">200</pre></dd><dt>1</dt><dd><pre tabindex="0">&#60;html&#62;\n&#60;/html&#62;</pre></dd></dl>',
  )
})

test('a page shows the first 64 KiB of a long result and the number of hidden characters', () => {
  expect(showValue('a'.repeat(70_000))).toContain('4464 more characters are not shown here.')
})

const now = new Date('2026-11-22T18:00:00Z')
test.each([
  [0, 'now'],
  [-999, 'now'],
  [-1000, '1 second ago'],
  [-59_999, '59 seconds ago'],
  [-60_000, '1 minute ago'],
  [-7_200_000, '2 hours ago'],
  [-86_400_000, '1 day ago'],
  [90_000, 'in 1 minute'],
])('a time %i ms from now is shown as "%s"', (ms, text) => {
  expect(relative(new Date(now.getTime() + ms), now)).toBe(text)
})

test.each([
  [-1, '0 ms'],
  [35.4, '35 ms'],
  [1500, '1.5 s'],
  [200_000, '3 min 20 s'],
  [3_660_000, '1 h 1 min'],
])('a duration of %d ms is shown as "%s"', (ms, text) => {
  expect(duration(ms)).toBe(text)
})

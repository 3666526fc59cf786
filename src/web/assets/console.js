// What scripts add to pages that work without them: the example of the chosen task, and a status page that changes when the task does.

const form = document.getElementById('task-form')
if (form) {
  helpWithArguments(form.elements.task, form.elements.args, form)
  nameTheButton(form.elements.schedule, form.querySelector('.primary'))
}

const run = document.getElementById('run')
if (run && run.dataset.ready === 'false') watch(run)

/** Shows what the chosen task does; replaces the arguments only while they are still nobody's but the example. */
function helpWithArguments(task, args, within) {
  const example = () => task.selectedOptions[0]?.dataset.example ?? '[]'
  let shown = example()
  task.addEventListener('change', () => {
    if (args.value.trim() === '' || args.value.trim() === shown) args.value = example()
    shown = example()
    within.querySelector('[data-of="example"]').textContent = shown
    within.querySelector('[data-of="description"]').textContent = task.selectedOptions[0]?.dataset.description ?? ''
  })
}

/** The button says what it will do. */
function nameTheButton(schedule, button) {
  const name = () => {
    button.textContent = schedule.value.trim() === '' ? 'Run' : 'Schedule'
  }
  schedule.addEventListener('input', name)
  name()
}

/**
 * Asks for the state and is answered when the task has ended, or after a while: short at first, because the start of a task is not told. A page
 * that nobody looks at asks nothing, so a forgotten tab keeps no sleeping machine awake.
 */
async function watch(element) {
  for (let seconds = 1; element.dataset.ready === 'false'; seconds = Math.min(seconds * 2, 20)) {
    await visible()
    const asked = performance.now()
    const revision = await revisionOf(element.dataset.path, seconds)
    if (revision && revision !== element.dataset.revision) {
      await refresh(element)
      seconds = 0.5 // It says something: who looks wants to see it go on.
    }
    const restMs = (revision === undefined ? seconds * 1000 : 500) - (performance.now() - asked)
    if (element.dataset.ready === 'false' && restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs))
  }
}

function visible() {
  if (document.visibilityState === 'visible') return Promise.resolve()
  return new Promise((resolve) => document.addEventListener('visibilitychange', resolve, { once: true })).then(visible)
}

async function revisionOf(path, seconds) {
  try {
    const response = await fetch(`${path}?wait=${seconds}`, { headers: { accept: 'application/json' } })
    return response.ok ? (await response.json()).revision : undefined
  } catch {
    return undefined // the server restarts, or the network is away: the next question will tell
  }
}

/** Takes the server's own markup, so that there is one place that draws a run. */
async function refresh(element) {
  const all = new URLSearchParams(location.search).get('log') === 'all' ? '?log=all' : ''
  const response = await fetch(`${element.dataset.path}${all}`, { headers: { accept: 'text/html' } })
  if (!response.ok) return
  const page = new DOMParser().parseFromString(await response.text(), 'text/html')
  const fresh = page.getElementById('run')
  if (!fresh) return
  element.replaceChildren(...fresh.childNodes)
  Object.assign(element.dataset, fresh.dataset)
  document.title = page.title
}

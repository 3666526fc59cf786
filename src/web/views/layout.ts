import { html } from 'ghtml'

/** Markup that is safe to insert. The `html` tag escapes `${}` but not `!${}`. */
export type Html = string

/** The values that the frame around each page needs. */
export interface Frame {
  readonly styleUrl: string
  readonly scriptUrl: string
  readonly iconUrl: string
  /** true: the menu is shown. */
  readonly signedIn: boolean
  readonly canSignOut: boolean
}

export interface Page {
  readonly title: string
  readonly main: Html
  readonly current?: 'run' | 'schedules' | 'queues' | 'dead-letters'
  /** Seconds after which the page reloads itself if scripts are off. */
  readonly refreshSeconds?: number | undefined
}

export const renderPage = (page: Page, frame: Frame): Html => html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${page.title} · onedyno</title>
<link rel="icon" href="${frame.iconUrl}" type="image/svg+xml">
<link rel="stylesheet" href="${frame.styleUrl}">
<script src="${frame.scriptUrl}" defer></script>
!${page.refreshSeconds === undefined ? '' : html`<noscript><meta http-equiv="refresh" content="${page.refreshSeconds}"></noscript>`}
</head>
<body>
<a class="skip" href="#main">Skip to content</a>
<header class="top"><div class="bar">
<a class="brand" href="/">onedyno</a>
!${frame.signedIn ? menu(page.current, frame.canSignOut) : ''}
</div></header>
<main id="main" tabindex="-1">
!${page.main}
</main>
</body>
</html>
`

const menu = (current: Page['current'], canSignOut: boolean): Html => html`<nav aria-label="Console">
!${menuLink('/', 'Run a task', current === 'run')}
!${menuLink('/schedules', 'Schedules', current === 'schedules')}
!${menuLink('/queues', 'Queues', current === 'queues')}
!${menuLink('/dead-letters', 'Dead letters', current === 'dead-letters')}
!${canSignOut ? html`<form method="post" action="/logout"><button class="quiet">Sign out</button></form>` : ''}
</nav>`

const menuLink = (path: string, text: string, isCurrent: boolean): Html =>
  html`<a href="${path}"!${isCurrent ? ' aria-current="page"' : ''}>${text}</a>`

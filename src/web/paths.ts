/** The paths of all pages are built in this file. */
export const runPath = (task: string, id: string): string => `/tasks/${encodeURIComponent(task)}/${encodeURIComponent(id)}`
export const schedulePath = (id: string): string => `/schedules/${encodeURIComponent(id)}`

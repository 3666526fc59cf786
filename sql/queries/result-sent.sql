-- A task is about to be sent from the console: its id is known from now on. $1 id · $2 task · $3 queue · $4 args, JSON [args, kwargs]
INSERT INTO task_result (id, task, state, queue, args) VALUES ($1, $2, 'PENDING', $3, $4) ON CONFLICT (id) DO NOTHING

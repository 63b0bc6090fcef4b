// node client-pg.mjs URL: what a program with pg does, one answer a line.
import pg from 'pg'

const client = new pg.Client({ connectionString: process.argv[2] })
client.on('error', () => undefined)
await client.connect()
const say = (value) => console.log(JSON.stringify(value))
say((await client.query('SELECT count(*)::int AS n FROM orders')).rows[0].n)
await client.query('BEGIN')
await client.query('UPDATE orders SET note = $1 WHERE id = $2', ['by pg', 1])
say((await client.query({ name: 'prepared', text: 'SELECT note FROM orders WHERE id = $1', values: [1] })).rows[0].note)
await client.query('ROLLBACK')
await client.query('SELECT * FROM salaries').catch((error) => say(error.code))
await client.query('SET ROLE orders_clerk').catch((error) => say(error.code))
await client.end()

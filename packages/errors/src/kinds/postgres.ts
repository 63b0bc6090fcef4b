import type { ErrorKind } from './error-kind.ts'

/** Connections to PostgreSQL that the gateway refuses. Nothing of them reaches the database. */
export const postgresErrors = {
  postgres_startup_refused: {
    status: 400,
    retryable: false,
    title: 'The connection to PostgreSQL asks for something that is not lent',
    cause:
      'Another database, a parameter such as `options` or `replication`, another version of the protocol, or a value with a character that no setting needs. `detail` says which.',
    fix: 'Connect to the database of the entry, and set anything else with `SET` once connected.',
  },
  postgres_role_not_lent: {
    status: 502,
    retryable: false,
    title: 'The database did not lend a role',
    cause:
      'The template is not listed for the gateway’s broker, may not be lent (a superuser, or a member of another role, for example), or `bailiwick.sql` was not run in the database. The log of the gateway says which.',
    fix: 'Have the DBA look at `bailiwick.templates`, and run `SELECT bailiwick.template_fault(role)`.',
  },
} as const satisfies Record<string, ErrorKind>

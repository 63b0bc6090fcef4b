import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'

/**
 * A shell that ends what this process started when this process ends, however it does: SIGKILL included.
 *
 * It reads from a pipe whose other end only this process holds. The kernel closes that end when the process is gone; the
 * shell then kills every process and removes every folder that it was told of and that was not taken back. It has a
 * session of its own, so that a terminal's Ctrl-C does not end it before what it watches. What is left uncovered is a
 * death in the instant between a server's start and the line about it.
 */
const script = `
pids=''
while read -r verb what; do
  case $verb in
    watch) pids="$pids $what" ;;
    forget) left=''; for pid in $pids; do [ "$pid" = "$what" ] || left="$left $pid"; done; pids=$left ;;
    folder) set -- "$@" "$what" ;;
  esac
done
[ -z "$pids" ] || kill -9 $pids
[ $# -eq 0 ] || { sleep 0.2; rm -rf -- "$@"; }
`

let watchdog: ChildProcess | undefined

/** From now on it dies with this process. Call this in the same turn of the event loop as its start. */
export function endWithThis(child: ChildProcess): void {
  const { pid } = child
  if (pid === undefined) return // it never ran
  tell(`watch ${pid}`)
  child.once('exit', () => tell(`forget ${pid}`)) // its number may soon belong to another process
}

/** The folder is removed when this process ends. Only for folders that nothing else uses. */
export function removeAtEnd(folder: string): void {
  tell(`folder ${folder}`)
}

function tell(line: string): void {
  watchdog ??= start()
  watchdog.stdin?.write(`${line}\n`)
}

function start(): ChildProcess {
  const child = spawn('/bin/sh', ['-c', script, 'bailiwick-watchdog'], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  child.stdin.on('error', () => {}) // if the watchdog was ended, what it watched continues, and is ended on dispose
  child.unref()
  ;(child.stdin as Socket).unref()
  return child
}

import { ServiceError } from '@bailiwick/errors'

/** One line of a cut: the kind of thing, then its columns. JSON: `null` where there is no value, amounts as decimal digits. */
export type Row = readonly [kind: string, ...columns: unknown[]]

/**
 * The parts, one after the other. `return` ends every part, also one that was not begun. Each part must do the same: a generator that was
 * never begun runs no `finally`.
 */
export function inTurn(...parts: readonly Iterable<Row>[]): IterableIterator<Row> {
  const iterators = parts.map((part) => part[Symbol.iterator]())
  const rows = (function* rows(): Generator<Row> {
    for (const iterator of iterators)
      for (let next = iterator.next(); !next.done; next = iterator.next()) yield next.value
  })()
  return endedBy(rows, () => {
    for (const iterator of iterators) iterator.return?.()
  })
}

/** The rows. `end` is called when they end, and on `return`, also if no row was read. */
export function endedBy(rows: Iterator<Row>, end: () => void): IterableIterator<Row> {
  return {
    next() {
      const next = rows.next()
      if (next.done) end()
      return next
    },
    return() {
      rows.return?.()
      end()
      return { done: true, value: undefined }
    },
    [Symbol.iterator]() {
      return this
    },
  }
}

/** The reader of each kind of row, in the order in which the rows were given. */
export type RowReaders = Readonly<Record<string, (columns: Columns) => void>>

const malformed = (row: Row, n: number, wanted: string) =>
  new ServiceError('invariant_broken', `a cut's row of kind ${row[0]} has no ${wanted} in column ${n}`)

/**
 * Reads the columns of one row in turn. The file was authenticated before (decision 86). These checks find a mistake of this code before a wrong
 * value becomes state. Throws `invariant_broken`.
 */
export class Columns {
  readonly #row: Row
  #next = 1

  constructor(row: Row) {
    this.#row = row
  }

  #take<T>(wanted: string, is: (value: unknown) => value is T): T {
    const value = this.#row[this.#next]
    if (!is(value)) throw malformed(this.#row, this.#next, wanted)
    this.#next++
    return value
  }

  text(): string {
    return this.#take('text', isText)
  }

  /** A whole number. */
  whole(): number {
    return this.#take('whole number', isWhole)
  }

  big(): bigint {
    return BigInt(this.#take('amount', isDigits))
  }

  flag(): boolean {
    return this.#take('flag', isFlag)
  }

  list(): readonly unknown[] {
    return this.#take('list', isList)
  }

  texts(): readonly string[] {
    return this.#take('list of texts', isTexts)
  }

  /** An object, in the form in which the event brought it. */
  object<T extends object>(): T {
    return this.#take('object', isObject) as T
  }

  /** `read`, or undefined where there is no value. */
  maybe<T>(read: (columns: this) => T): T | undefined {
    if (this.#row[this.#next] !== null) return read(this)
    this.#next++
    return undefined
  }

  /** Each element of a list as a row of its own. */
  each<T>(read: (columns: Columns) => T): T[] {
    const kind = this.#row[0]
    return this.list().map((element) => {
      if (!isList(element)) throw malformed(this.#row, this.#next - 1, 'list of lists')
      const columns = new Columns([kind, ...element])
      const value = read(columns)
      columns.end()
      return value
    })
  }

  /** Call it last: a row with more columns is another version's. */
  end(): void {
    if (this.#next !== this.#row.length) throw malformed(this.#row, this.#next, 'end')
  }
}

const isText = (value: unknown): value is string => typeof value === 'string'
const isWhole = (value: unknown): value is number => Number.isSafeInteger(value)
const isDigits = (value: unknown): value is string => typeof value === 'string' && /^-?\d+$/.test(value)
const isFlag = (value: unknown): value is boolean => typeof value === 'boolean'
const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value)
const isTexts = (value: unknown): value is readonly string[] => isList(value) && value.every(isText)
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !isList(value)

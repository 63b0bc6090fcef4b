import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Attribute {
  type: string
  object_type?: string
  requirement: 'required' | 'recommended' | 'optional'
  is_array?: boolean
  enum?: Record<string, { caption: string }>
  sibling?: string
  profiles?: string[] | null
}
interface Shape {
  attributes: Record<string, Attribute>
  constraints?: { at_least_one?: string[]; just_one?: string[] }
}
interface Compiled {
  version: string
  classes: Record<string, Shape & { uid: number; category_uid: number; profiles: string[] }>
  objects: Record<string, Shape>
  types: { attributes: Record<string, { type?: string; regex?: string; max_len?: number; range?: [number, number] }> }
}

const root = join(import.meta.dirname, '../../../../..')
// The folder is beside the project, or beside one of its working trees.
const places = ['..', '../..'].map((up) => join(root, up, 'shared/data/ocsf-1.9/compiled.json'))
const place = places.find((path) => existsSync(path))

/** OCSF as its own compiler outputs it, if that file exists beside the project. It is not part of the project. */
export const compiled = place === undefined ? undefined : (JSON.parse(readFileSync(place, 'utf8')) as Compiled)

/** Checks an event against the compiled schema alone. Returns one line for each fault. */
export function judgedByOcsf(event: Record<string, unknown>, { classes, objects, types }: Compiled): string[] {
  const wrong: string[] = []
  const found = Object.values(classes).find(({ uid }) => uid === event.class_uid)
  if (found === undefined) return [`class_uid ${event.class_uid}`]
  const metadata = event.metadata as { profiles: string[]; extensions: { name: string }[] }
  for (const profile of metadata.profiles)
    if (!found.profiles.includes(profile)) wrong.push(`${profile}: not a profile of the class`)
  const extensions = new Set(metadata.extensions.map(({ name }) => name))
  const isActive = ({ profiles }: Attribute) =>
    (profiles ?? []).length === 0 || profiles?.some((profile) => metadata.profiles.includes(profile))

  function shape({ attributes, constraints }: Shape, value: Record<string, unknown>, path: string): void {
    for (const [name, attribute] of Object.entries(attributes))
      if (attribute.requirement === 'required' && isActive(attribute) && value[name] === undefined)
        wrong.push(`${path}${name}: required`)
    if (constraints?.at_least_one?.every((name) => value[name] === undefined))
      wrong.push(`${path}: none of ${constraints.at_least_one}`)
    if (constraints?.just_one && constraints.just_one.filter((name) => value[name] !== undefined).length !== 1)
      wrong.push(`${path}: not one of ${constraints.just_one}`)
    for (const [name, inner] of Object.entries(value)) {
      if (path === '' && extensions.has(name)) continue
      const attribute = attributes[name]
      if (attribute === undefined) wrong.push(`${path}${name}: no such attribute`)
      else if (!isActive(attribute)) wrong.push(`${path}${name}: of a profile that is not applied`)
      else if (attribute.is_array && !Array.isArray(inner)) wrong.push(`${path}${name}: no array`)
      else
        for (const one of attribute.is_array ? (inner as unknown[]) : [inner])
          single(attribute, one, `${path}${name}`, value)
    }
  }

  function single(attribute: Attribute, value: unknown, path: string, among: Record<string, unknown>): void {
    if (attribute.type === 'json_t') return
    if (attribute.type === 'object_t') {
      const inner = objects[attribute.object_type ?? '']
      if (inner === undefined || typeof value !== 'object' || value === null || Array.isArray(value))
        wrong.push(`${path}: no ${attribute.object_type}`)
      else if (attribute.object_type !== 'object') shape(inner, value as Record<string, unknown>, `${path}.`)
      return
    }
    const rule = types.attributes[attribute.type]
    if (rule === undefined) wrong.push(`${path}: unknown type ${attribute.type}`)
    const base = rule?.type ?? attribute.type
    const fits =
      base === 'boolean_t'
        ? typeof value === 'boolean'
        : base === 'string_t'
          ? typeof value === 'string'
          : base === 'float_t'
            ? typeof value === 'number'
            : Number.isSafeInteger(value)
    if (!fits) wrong.push(`${path}: ${JSON.stringify(value)} is no ${attribute.type}`)
    if (rule?.regex !== undefined && !new RegExp(rule.regex).test(String(value))) wrong.push(`${path}: ${value}`)
    if (rule?.max_len !== undefined && String(value).length > rule.max_len) wrong.push(`${path}: too long`)
    if (rule?.range && !(Number(value) >= rule.range[0] && Number(value) <= rule.range[1])) wrong.push(`${path}: range`)
    if (attribute.enum === undefined) return
    const entry = attribute.enum[String(value)]
    if (entry === undefined) wrong.push(`${path}: ${value} is not in the enum`)
    const caption = attribute.sibling === undefined ? undefined : among[attribute.sibling]
    if (entry !== undefined && value !== 99 && caption !== undefined && caption !== entry.caption)
      wrong.push(`${path}: ${value} is ${entry.caption}, not ${caption}`)
    if (value === 99 && attribute.sibling !== undefined && attribute.sibling !== 'type_name' && caption === undefined)
      wrong.push(`${path}: 99 without a word`)
  }

  shape(found, event, '')
  if (event.type_uid !== Number(event.class_uid) * 100 + Number(event.activity_id)) wrong.push('type_uid')
  if (event.category_uid !== found.category_uid) wrong.push('category_uid')
  return wrong
}

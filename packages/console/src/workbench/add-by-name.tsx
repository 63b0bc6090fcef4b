interface AddByNameProps {
  label: string
  placeholder?: string
  name: string
  onName(name: string): void
  onAdd(): void
}

/** A field for a name, with a button that adds what it names. */
export function AddByName({ label, placeholder = label, name, onName, onAdd }: AddByNameProps) {
  return (
    <div className="beside">
      <input
        aria-label={label}
        placeholder={placeholder}
        value={name}
        onChange={({ currentTarget }) => onName(currentTarget.value)}
      />
      <button type="button" onClick={onAdd}>
        Add
      </button>
    </div>
  )
}

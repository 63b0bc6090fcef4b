package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"strconv"
	"unicode/utf8"
)

const maxDepth = 32

// object is JSON taken member by member: encoding/json would match struct fields in any case, and let the last of two
// equal names win, so that one signed text could say two things to two readers.
type object = map[string]any

// strictJSON parses JSON that every reader understands alike: UTF-8, no name twice, no lone surrogates, 32 levels.
func strictJSON(data []byte) (any, error) {
	if !utf8.Valid(data) || hasLoneSurrogate(data) {
		return nil, refused("json_malformed")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	value, err := decodeValue(decoder, maxDepth)
	if err != nil {
		return nil, refused("json_malformed")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, refused("json_malformed")
	}
	return value, nil
}

func decodeValue(decoder *json.Decoder, left int) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	delimiter, composite := token.(json.Delim)
	if !composite {
		return token, nil
	}
	if left == 0 {
		return nil, refused("json_malformed")
	}
	found := object{}
	list := []any{}
	for decoder.More() {
		if delimiter == '[' {
			value, err := decodeValue(decoder, left-1)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
			continue
		}
		name, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		text, _ := name.(string)
		if _, twice := found[text]; twice || text == "__proto__" {
			return nil, refused("json_malformed")
		}
		if found[text], err = decodeValue(decoder, left-1); err != nil {
			return nil, err
		}
	}
	if _, err := decoder.Token(); err != nil { // the closing bracket
		return nil, err
	}
	if delimiter == '[' {
		return list, nil
	}
	return found, nil
}

// hasLoneSurrogate looks at the escapes themselves: the decoder would silently make U+FFFD of half a pair.
func hasLoneSurrogate(data []byte) bool {
	for at := 0; at < len(data); at++ {
		if data[at] != '\\' {
			continue
		}
		unit := escaped(data[at:])
		switch {
		case unit >= 0xdc00 && unit <= 0xdfff:
			return true
		case unit >= 0xd800 && unit <= 0xdbff:
			if low := escaped(data[min(at+6, len(data)):]); low < 0xdc00 || low > 0xdfff {
				return true
			}
			at += 11
		default:
			at++ // what is escaped may itself be a backslash
		}
	}
	return false
}

// escaped gives the code unit of a \uXXXX that stands at the beginning, else -1.
func escaped(data []byte) int64 {
	if len(data) < 6 || data[0] != '\\' || data[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseInt(string(data[2:6]), 16, 32)
	if err != nil {
		return -1
	}
	return unit
}

// textAt gives the text at this place of an event. Nothing guarantees its form, not even a signature.
func textAt(value any, names ...string) (string, bool) {
	for _, name := range names {
		members, ok := value.(object)
		if !ok {
			return "", false
		}
		value = members[name]
	}
	text, ok := value.(string)
	return text, ok
}

// base64url is strict: a text that would not be written this way again (padding, unused bits) is another text.
func base64url(text string) ([]byte, bool) {
	data, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return data, err == nil && base64.RawURLEncoding.EncodeToString(data) == text
}

func toBase64url(data []byte) string {
	return base64.RawURLEncoding.EncodeToString(data)
}

func objectIn(segment string) object {
	data, ok := base64url(segment)
	if !ok {
		return nil
	}
	value, err := strictJSON(data)
	if err != nil {
		return nil
	}
	members, _ := value.(object)
	return members
}

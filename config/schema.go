package config

import (
	"encoding/json"
	"io"
	"strings"
)

// WriteSchema writes a JSON Schema (draft 2020-12) of the file, for editors.
func WriteSchema(w io.Writer) error {
	schema := root.schema()
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "Configuration of stoa"
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(schema)
}

type object = map[string]any

// durations is the form of time.ParseDuration, without a sign and with a unit.
const durations = `([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+`

const unitNames = `(B|KiB|MiB|GiB)`

// schema returns the schema of a key.
func (k *key) schema() object {
	s := object{}
	if k.doc != "" {
		s["description"] = k.comment()
	}
	switch k.kind {
	case section:
		s["type"] = []string{"object", "null"}
		s["properties"], s["additionalProperties"] = k.properties(), false
	case named:
		entry := object{"type": []string{"object", "null"}, "properties": k.properties(), "additionalProperties": false}
		s["type"], s["additionalProperties"] = []string{"object", "null"}, entry
	case texts, choices:
		s["type"], s["items"] = "array", k.itemSchema()
	default:
		for name, value := range k.itemSchema() {
			s[name] = value
		}
	}
	if k.standard != "" {
		s["default"] = k.jsonDefault()
	}
	return s
}

func (k *key) properties() object {
	properties := object{}
	for _, c := range k.keys {
		properties[c.name] = c.schema()
	}
	return properties
}

// itemSchema returns the schema of a value that is no list.
func (k *key) itemSchema() object {
	switch k.kind {
	case truth:
		return object{"type": "boolean"}
	case choice, choices:
		return object{"enum": k.enum}
	case size:
		return object{"type": "string", "pattern": k.pattern(digits + unitNames)}
	case duration:
		return object{"type": "string", "pattern": k.pattern(durations)}
	case rate:
		return object{"type": "string", "pattern": k.pattern(digits + `/s`)}
	case meter:
		if k.bytes {
			return object{"type": "string", "pattern": k.pattern(digits + unitNames + `/s( burst ` + digits + unitNames + `)?`)}
		}
		return object{"type": "string", "pattern": k.pattern(digits + `(\.[0-9]{1,3})?/s( burst [0-9_]+)?`)}
	case count:
		number := object{"type": "integer", "minimum": k.minimum}
		if k.maximum != 0 {
			number["maximum"] = k.maximum
		}
		words := k.words()
		if len(words) == 0 {
			return number
		}
		return object{"anyOf": []object{number, {"enum": words}}}
	}
	return object{"type": "string"}
}

// words are the values in place of a number.
func (k *key) words() []string {
	var words []string
	if k.off != "" {
		words = append(words, offWord)
	}
	if k.auto != "" {
		words = append(words, autoWord)
	}
	return words
}

func (k *key) pattern(number string) string {
	return "^(" + strings.Join(append([]string{number}, k.words()...), "|") + ")$"
}

// jsonDefault returns the default as a value of JSON.
func (k *key) jsonDefault() any {
	value, err := k.parseText(k.standard)
	switch v := value.(type) {
	case bool, []string:
		return v
	case int:
		if k.kind == count && v > 0 {
			return v
		}
	}
	if err != nil {
		panic(err) // a test reads all defaults
	}
	return k.format(value)
}

package config

import (
	"encoding/json"
	"net/url"
	"strings"

	"go.yaml.in/yaml/v3"
)

// masked stands for a secret.
const masked = "***"

// yaml returns a value of the key as it stands in a file, without secrets.
func (k *key) yaml(value any) string {
	if !k.list() {
		return k.yamlItem(value)
	}
	list, _ := value.([]string)
	items := make([]string, len(list))
	for i, item := range list {
		items[i] = k.yamlItem(item)
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func (k *key) yamlItem(value any) string {
	s := k.format(value)
	switch {
	case k.secret && s != "":
		s = masked
	case k.password:
		s = maskURL(s)
	}
	if k.kind == text || k.kind == texts {
		return quoteYAML(s)
	}
	return s
}

// maskURL replaces the password of a URL and all its parameters. A text that is
// no URL may be a password as a whole.
func maskURL(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" && (u.Scheme != "unix" || u.Path == "") {
		return masked
	}
	user := ""
	if u.User != nil {
		user = url.User(u.User.Username()).String()
		if _, has := u.User.Password(); has {
			user += ":" + masked
		}
		user += "@"
	}
	line := u.Scheme + "://" + user + u.Host + u.EscapedPath()
	if u.RawQuery != "" {
		line += "?" + masked
	}
	return line
}

// quoteYAML puts a text in quotes unless YAML reads it as this text without
// them, alone and in a list.
func quoteYAML(s string) string {
	var document yaml.Node
	plain := s != "" && !strings.ContainsAny(s, ",[]{}#") && !strings.HasSuffix(s, ":")
	if plain && yaml.Unmarshal([]byte(s), &document) == nil && len(document.Content) == 1 {
		node := document.Content[0]
		if node.Kind == yaml.ScalarNode && node.Style == 0 && node.ShortTag() == "!!str" && node.Value == s {
			return s
		}
	}
	var quoted strings.Builder
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // strings have no error; JSON strings are YAML
	return strings.TrimSpace(quoted.String())
}

// wrap splits a text into lines of at most width characters.
func wrap(s string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

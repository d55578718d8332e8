package config

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// block returns a key with its value in YAML, a line for each name.
func block(path, value string) string {
	names := strings.Split(strings.ReplaceAll(path, "*", "default"), ".")
	text := ""
	for i, name := range names {
		text += strings.Repeat("  ", i) + name + ":\n"
	}
	return strings.TrimSuffix(text, "\n") + " " + value + "\n"
}

// No secret is in an error, in the output of Write, or in a change, also when
// YAML reads it as an anchor, an alias or a tag.
func TestSecretsAreNotShown(t *testing.T) {
	const marker = "hunter2-hunter2-hunter2-hunter2-hunter2"
	loaded, changed := 0, 0
	check := func(t *testing.T, content, environment string) *Config {
		t.Helper()
		sources := Sources{File: "stoa.yaml", Content: []byte(content)}
		if environment != "" {
			sources.Environment = []string{environment}
		}
		c, err := Load(sources)
		if err != nil {
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s%s: the error shows it: %v", content, environment, err)
			}
			return nil
		}
		var shown bytes.Buffer
		if err := c.Write(&shown); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(shown.String(), "hunter2") {
			t.Errorf("%s%s: shown", content, environment)
		}
		loaded++
		return c
	}
	everyLeaf(root, func(k *key) {
		if !k.secret && !k.password {
			return
		}
		secrets := []string{"sk_" + marker}
		if k.password {
			secrets = []string{marker, "http://u:" + marker + "@h/", "rediss://u:" + marker + "@h:port"}
			for _, scheme := range []string{"redis", "https"} {
				secrets = append(secrets, scheme+"://u:"+marker+"@h", scheme+"://h/?x="+marker)
			}
		}
		for _, secret := range secrets {
			for _, style := range []string{
				"%s", "'%s'", `"%s"`, `"%s\q"`, "*%s", "&%s", "&%s x", "!%s", "!%s x", "!<%s> x", "%%%s", "@%s", "|\n          %s", ">\n          %s",
				"{%s: 1}", "[[%s]]", "a: %s", "[%s", "{%s",
			} {
				value := fmt.Sprintf(style, secret)
				if k.list() && !strings.ContainsAny(style, "|>[{") {
					value = "[" + value + "]"
				}
				before := check(t, block(k.path, value), "")
				after := check(t, block(k.path, strings.Replace(value, marker, marker+"-2", 1)), "")
				if before != nil && after != nil {
					_, changes, _ := before.Reload(after)
					changed += len(changes)
					if text := fmt.Sprint(changes); strings.Contains(text, "hunter2") {
						t.Errorf("%s: the changes show it: %s", value, text)
					}
				}
				if parts := strings.SplitN(k.path, ".*.", 2); len(parts) == 2 {
					variable := variablePrefix + strings.ToUpper(strings.ReplaceAll(parts[0], ".", "_"))
					check(t, "", variable+"={default: {"+parts[1]+": "+value+"}}")
				} else {
					check(t, "", k.environment()+"="+value)
				}
			}
		}
	})
	if loaded < 20 || changed < 10 {
		t.Errorf("%d configurations and %d changes: the test shows too little", loaded, changed)
	}
}

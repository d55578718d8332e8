package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/stoa-io/stoa/internal/similar"
)

// variablePrefix begins the names of all variables of the environment.
const variablePrefix = "STOA_"

// FileVariable names the file, in place of the flag --config.
const FileVariable = variablePrefix + "CONFIG"

// variables are the keys by the names of their variables. A key of an earlier
// version has two names.
var variables = newVariables()

func newVariables() map[string]*key {
	all := make(map[string]*key)
	root.visit(func(k *key) {
		if k.kind == section {
			return
		}
		all[k.environment()] = k
		if k.variable != "" {
			all[k.variable] = k
		}
	})
	return all
}

// parseEnvironment reads the variables, in the form of os.Environ. An empty one
// counts as not set.
func parseEnvironment(environ []string) *layer {
	l := newLayer()
	set := make(map[string]string) // by path: the variable
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if !strings.HasPrefix(name, variablePrefix) || value == "" || name == FileVariable {
			continue
		}
		origin := Origin{Layer: LayerEnvironment, Name: name}
		k := variables[name]
		switch {
		case k == nil:
			if problem := unknownVariable(name); problem != "" {
				l.fail(origin, "", "", "%s", problem)
			}
		case set[k.path] != "":
			l.fail(origin, k.path, "", "%s sets the same key", set[k.path])
		case k.kind == named:
			l.parse(k, k.koanfPath(), []byte(value), origin)
		default:
			l.text(k, value, value, origin)
		}
		if k != nil {
			set[k.path] = name
		}
	}
	return l
}

// text sets a key to the value of a text, which an error quotes as the user
// wrote it.
func (l *layer) text(k *key, value, written string, origin Origin) {
	parsed, err := k.parseText(value)
	if err != nil {
		l.fail(origin, k.path, k.quoteText(written), "%s", err)
		return
	}
	l.settings[k.koanfPath()] = setting{parsed, origin}
}

// koanfPath returns the path of a key that is not in a map.
func (k *key) koanfPath() string { return strings.ReplaceAll(k.path, ".", delimiter) }

// linked matches the variables that Kubernetes sets for a service in every pod
// of its namespace, such as STOA_PORT for a service with the name "stoa".
var linked = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?$`)

// unknownVariable returns an error about a variable that is probably a mistyped
// key: it begins like those of a section, or is similar to one. Others belong
// to other programs.
func unknownVariable(name string) string {
	if linked.MatchString(name) {
		return ""
	}
	var known []string
	begins := false
	for variable, k := range variables {
		if k.kind == named && strings.HasPrefix(name, variable+"_") {
			return "unknown variable; " + variable + " takes the names with their sections, in YAML"
		}
		known = append(known, variable)
		top, _, inSection := strings.Cut(k.path, ".")
		begins = begins || inSection && strings.HasPrefix(name, variablePrefix+strings.ToUpper(top)+"_")
	}
	known = append(known, FileVariable)
	slices.Sort(known)
	found := similar.Words(name, known)
	switch {
	case len(found) > 0:
		return fmt.Sprintf("unknown variable; did you mean %s?", strings.Join(found, " or "))
	case begins:
		return "unknown variable: no key has this name"
	}
	return ""
}

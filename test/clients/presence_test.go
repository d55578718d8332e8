package clients_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
)

// inGo reports why a name is not in a type, or not used by its test.
func (c cell) inGo(of reflect.Type) error {
	if c.file == "" {
		return nil
	}
	if of.Kind() == reflect.Struct {
		if _, found := of.FieldByName(c.spelled); !found {
			return fmt.Errorf("%v has no field %s", of, c.spelled)
		}
	} else if _, found := of.MethodByName(c.spelled); !found {
		return fmt.Errorf("%v has no method %s", of, c.spelled)
	}
	functions, err := functionsOf(filepath.Dir(c.file))
	if err != nil {
		return err
	}
	begin := functions[c.test]
	if begin == nil || begin.file != c.file {
		return fmt.Errorf("there is no %s in %s", c.test, c.file)
	}
	if !functions.uses(begin, c.spelled, map[*function]bool{}) {
		return fmt.Errorf("%s does not use %s", c.test, c.spelled)
	}
	return nil
}

// function is one function of a package's tests.
type function struct {
	file string
	body *ast.BlockStmt
}

// functions are those of one package's tests, by name.
type functions map[string]*function

var parsed = map[string]functions{}

func functionsOf(folder string) (functions, error) {
	if known := parsed[folder]; known != nil {
		return known, nil
	}
	found := functions{}
	files, err := filepath.Glob(filepath.Join(top, folder, "*_test.go"))
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, declaration := range file.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && f.Body != nil {
				found[f.Name.Name] = &function{folder + "/" + filepath.Base(path), f.Body}
			}
		}
	}
	parsed[folder] = found
	return found, nil
}

// uses reports whether a function, or one of the package's that it names, has
// x.name in it, or a field of this name in a composite literal.
func (all functions) uses(f *function, name string, seen map[*function]bool) (found bool) {
	if seen[f] {
		return false
	}
	seen[f] = true
	ast.Inspect(f.body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			found = found || n.Sel.Name == name
		case *ast.KeyValueExpr:
			key, ok := n.Key.(*ast.Ident)
			found = found || ok && key.Name == name
		case *ast.Ident:
			if called := all[n.Name]; called != nil && !found {
				found = all.uses(called, name, seen)
			}
		}
		return !found
	})
	return found
}

// inTypeScript reports why a name is not in a class of js/src, or not used by
// its test.
func (c cell) inTypeScript(class string) error {
	source, err := os.ReadFile(filepath.Join(top, "js", "src", strings.ToLower(class)+".ts"))
	if err != nil {
		return err
	}
	_, body, found := strings.Cut(string(source), "export class "+class)
	if !found {
		return fmt.Errorf("there is no class %s", class)
	}
	body, _, _ = strings.Cut(body, "\n}\n")
	// A property or a method of the class itself, that is not private.
	member := regexp.MustCompile(`(?m)^ {2}(readonly |async )?` + c.spelled + `[<(:? ]`)
	if !member.MatchString(body) {
		return fmt.Errorf("class %s has no %s", class, c.spelled)
	}
	tests, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(c.file)))
	if err != nil {
		return err
	}
	_, test, found := strings.Cut(string(tests), fmt.Sprintf("it(%q,", c.test))
	if !found {
		return fmt.Errorf("there is no test %q in %s", c.test, c.file)
	}
	test, _, _ = strings.Cut(test, "\n  });\n")
	used := regexp.MustCompile(`\.` + c.spelled + `\b|\b` + c.spelled + `: `)
	if !used.MatchString(test) {
		return fmt.Errorf("the test %q does not use %s", c.test, c.spelled)
	}
	return nil
}

package archmap

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Module is the import path of the module.
const Module = "github.com/stoa-io/stoa"

// Source is one Go file of the module.
type Source struct {
	Path  string // relative to the top of the module, with slashes
	Dir   string // of Path; "." for the top
	Test  bool
	Text  string
	Lines int
	Files *token.FileSet
	File  *ast.File
}

// Line returns the line on which a node of the file begins.
func (s *Source) Line(node ast.Node) int {
	return s.Files.Position(node.Pos()).Line
}

// Import is one import of a file.
type Import struct {
	Path string
	Name string // inside the file
	Line int
}

// Imports returns the imports of the file.
func (s *Source) Imports() []Import {
	imports := make([]Import, 0, len(s.File.Imports))
	for _, spec := range s.File.Imports {
		// The parser has accepted the literal.
		imported, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports = append(imports, Import{Path: imported, Name: name, Line: s.Line(spec)})
	}
	return imports
}

// Sources parses every Go file of the module below top. It leaves out generated
// files, and other modules in the same repository.
func Sources(top string) ([]*Source, error) {
	var all []*Source
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != top && skipped(path, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		s, err := parse(top, path)
		if err != nil {
			return err
		}
		if !ast.IsGenerated(s.File) {
			all = append(all, s)
		}
		return nil
	})
	if err == nil && len(all) == 0 {
		err = errors.New("found no Go files in " + top)
	}
	return all, err
}

// skipped reports whether a directory is not part of the module.
func skipped(path, name string) bool {
	if strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "bin" {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

func parse(top, name string) (*Source, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	relative, err := filepath.Rel(top, name)
	if err != nil {
		return nil, err
	}
	relative = filepath.ToSlash(relative)
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, relative, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	return &Source{
		Path: relative, Dir: path.Dir(relative), Test: strings.HasSuffix(relative, "_test.go"),
		Text: string(text), Lines: strings.Count(string(text), "\n"),
		Files: files, File: file,
	}, nil
}

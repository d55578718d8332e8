//go:build !race

package archtest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file is a file of the repository that is no Go source.
type file struct {
	path string // relative to the top, with slashes
	text string
}

// lines is the number of lines of the file.
func (f file) lines() int {
	return strings.Count(f.text, "\n")
}

// files reads the files whose names have one of the endings, other modules
// included. It leaves out installed packages, recorded conversations and what
// the build makes.
func files(t *testing.T, endings ...string) []file {
	t.Helper()
	made := []string{".git", "node_modules", "testdata", "bin", "dist", "js/docs", "ops/stoa.js"}
	var all []file
	err := filepath.WalkDir(top, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		if slices.ContainsFunc(made, func(made string) bool { return strings.HasSuffix(name, "/"+made) }) {
			if entry.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.IsDir() || !slices.ContainsFunc(endings, func(ending string) bool { return strings.HasSuffix(name, ending) }) {
			return nil
		}
		text, err := os.ReadFile(name)
		all = append(all, file{path: strings.TrimPrefix(name, filepath.ToSlash(top)+"/"), text: string(text)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

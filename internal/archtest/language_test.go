//go:build !race

package archtest_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stoa-io/stoa/internal/archmap"
)

// unplain are phrases that hide who does a thing, or that are not the usual
// words of the field. A sentence names the thing and says what it does.
var unplain = regexp.MustCompile(`(?i)\b(` + strings.Join([]string{
	`nobody`, `somebody`, `everybody`, `anybody`, `whoever`, `whatever`, `that which`,
	// A clause in place of a noun: "what waits", "who asks".
	`what (is|are|was|were|has|had|have|waits?|comes?|came|does|do|did|can|cannot|must|may|will|would|goes|belongs?|follows?|remains?|it|they|he)`,
	`who (is|are|was|were|has|have|had|waits?|wants?|asks?|joins?|joined|does|do|did|can|cannot|must|may|will|would|uses?|reads?|sends?|sees|knows?|comes?)`,
	// Words of everyday life in place of the field's: unreachable, left,
	// notified, running, again, next to, automatically.
	`(is|are|was|were|be|been|being) away`, `(goes|go|went|gone) away`, `hears? of`, `(is|are|was|were|be) told`,
	`under way`, `at work`, `once more`, `by (itself|themselves)`, `beside`, `meanwhile`, `the program's own`,
}, "|") + `)\b`)

// protocol are phrases of the wire protocol and of recorded programs, which do
// not change.
var protocol = regexp.MustCompile(`nobody there|nobody is there`)

// prose is one paragraph, string or line of a file that people read.
type prose struct {
	line int
	text string
}

func TestLanguageIsPlain(t *testing.T) {
	findings := make(map[string][]string)
	check := func(path string, paragraphs []prose) {
		for _, p := range paragraphs {
			for _, found := range unplain.FindAllString(protocol.ReplaceAllString(p.text, ""), -1) {
				findings[path] = append(findings[path], fmt.Sprintf("%s:%d: %s", path, p.line, found))
			}
		}
	}
	for _, s := range sources(t) {
		if path.Base(s.Path) == "language_test.go" {
			continue // it spells the phrases out
		}
		check(s.Path, goProse(s))
	}
	for _, f := range files(t, ".ts", ".js", ".sh", ".md", ".html", ".yml", ".yaml", "Makefile", "Dockerfile") {
		check(f.path, fileProse(f))
	}
	report(t, "phrases that are not plain", findings)
}

func TestCommentsFitTheirLines(t *testing.T) {
	const columns = 80
	findings := make(map[string][]string)
	for _, s := range sources(t) {
		for i, line := range strings.Split(s.Text, "\n") {
			text, ok := strings.CutPrefix(strings.TrimLeft(line, "\t"), "//")
			if !ok || strings.Contains(text, "://") || strings.HasPrefix(text, "\t") || !strings.HasPrefix(text, " ") ||
				strings.HasPrefix(text, "  ") || strings.HasPrefix(text, " |") {
				continue // an address, a directive, code or a table
			}
			tabs := len(line) - len(strings.TrimLeft(line, "\t"))
			if width := utf8.RuneCountInString(line) + tabs*(tabWidth-1); width > columns {
				findings[s.Path] = append(findings[s.Path], fmt.Sprintf("%s:%d: %d columns", s.Path, i+1, width))
			}
		}
	}
	report(t, "comment lines over 80 columns", findings)
}

const tabWidth = 4

// report fails if there are findings. It lists them, the files with the most
// first.
func report(t *testing.T, what string, findings map[string][]string) {
	t.Helper()
	paths := slices.SortedFunc(maps.Keys(findings), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(findings[b]), len(findings[a])), cmp.Compare(a, b))
	})
	for _, path := range paths {
		t.Errorf("%d %s in %s:\n\t%s", len(findings[path]), what, path, strings.Join(findings[path], "\n\t"))
	}
}

// goProse returns the comments of a file, and those string literals of a file
// that is no test which look like sentences.
func goProse(s *archmap.Source) []prose {
	var all []prose
	for _, group := range s.File.Comments {
		all = append(all, prose{s.Line(group), strings.Join(strings.Fields(group.Text()), " ")})
	}
	if s.Test {
		return all
	}
	ast.Inspect(s.File, func(node ast.Node) bool {
		if literal, ok := node.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			// The parser has accepted the literal.
			if text, _ := strconv.Unquote(literal.Value); strings.Contains(text, " ") {
				all = append(all, prose{s.Line(literal), text})
			}
		}
		return true
	})
	return all
}

var (
	scriptComment = regexp.MustCompile(`(?s)/\*.*?\*/|(?:^|\s)//[^\n]*`)
	hashComment   = regexp.MustCompile(`(?:^|\s)#[^\n]*`)
	codeBlock     = regexp.MustCompile("(?s)\n```.*?\n```|`[^`\n]*`")
)

// fileProse returns the comments of a script, or the text of a page without its
// code.
func fileProse(f file) []prose {
	comment := hashComment
	switch path.Ext(f.path) {
	case ".md", ".html":
		text := codeBlock.ReplaceAllStringFunc(f.text, func(code string) string {
			return strings.Repeat("\n", strings.Count(code, "\n"))
		})
		var all []prose
		for i, line := range strings.Split(text, "\n") {
			all = append(all, prose{i + 1, line})
		}
		return all
	case ".ts", ".js":
		comment = scriptComment
	}
	var all []prose
	for _, place := range comment.FindAllStringIndex(f.text, -1) {
		all = append(all, prose{1 + strings.Count(f.text[:place[0]], "\n"), strings.Join(strings.Fields(f.text[place[0]:place[1]]), " ")})
	}
	return all
}

package serve

import (
	"net/http"
	"net/http/httptest"
	"path"
	"regexp"
	"strings"
	"testing"
)

// demoSources returns the embedded files by name.
func demoSources(t testing.TB) map[string]string {
	t.Helper()
	entries, err := demoFiles.ReadDir("demo")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{}
	for _, entry := range entries {
		content, err := demoFiles.ReadFile(path.Join("demo", entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sources[entry.Name()] = string(content)
	}
	return sources
}

func fetch(t testing.TB, handler http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	response := httptest.NewRecorder()
	handler.ServeHTTP(response, request)
	return response
}

func TestDemoAssets(t *testing.T) {
	mux := http.NewServeMux()
	registerDemo(mux, new(page), demoPage{"/ws", "default"})
	types := map[string]string{
		".html": "text/html; charset=utf-8",
		".css":  "text/css; charset=utf-8",
		".js":   "text/javascript; charset=utf-8",
		".svg":  "image/svg+xml",
	}
	for name := range demoSources(t) {
		t.Run(name, func(t *testing.T) {
			address := "/" + strings.TrimSuffix(name, "index.html")
			response := fetch(t, mux, address)
			if response.Code != http.StatusOK {
				t.Fatalf("status %d, want 200", response.Code)
			}
			if got := response.Header().Get("Content-Type"); got != types[path.Ext(name)] {
				t.Errorf("Content-Type: %q, want %q", got, types[path.Ext(name)])
			}
			if origin := response.Header().Get("Access-Control-Allow-Origin"); origin != "" {
				t.Errorf("Access-Control-Allow-Origin: %q, want none", origin)
			}
		})
	}
}

func TestDemoEndpoint(t *testing.T) {
	cases := []struct{ endpoint, want string }{
		{"/ws", `name="stoa-endpoint" content="/ws"`},
		{"*", `name="stoa-endpoint" content="/ws"`},
		{"/a/b", `name="stoa-endpoint" content="/a/b"`},
		{`/"><script>`, `name="stoa-endpoint" content="/%22%3E%3Cscript%3E"`},
	}
	for _, c := range cases {
		mux := http.NewServeMux()
		registerDemo(mux, new(page), demoPage{c.endpoint, "default"})
		body := fetch(t, mux, "/").Body.String()
		if !strings.Contains(body, c.want) {
			t.Errorf("endpoint %q: %q is not in the page", c.endpoint, c.want)
		}
		if want := `name="stoa-namespace" content="default"`; !strings.Contains(body, want) {
			t.Errorf("endpoint %q: %q is not in the page", c.endpoint, want)
		}
	}
}

// The page must load nothing from other servers.
func TestDemoHasNoExternalAddress(t *testing.T) {
	external := regexp.MustCompile(`(?i)(https?:)?//[a-z0-9-]+\.[a-z]+[^\s"')]*`)
	const svgNamespace = "http://www.w3.org/2000/svg"
	for name, source := range demoSources(t) {
		for _, address := range external.FindAllString(source, -1) {
			if address != svgNamespace {
				t.Errorf("%s refers to %s", name, address)
			}
		}
	}
}

// Text from peers must not become markup.
func TestDemoBuildsNoMarkup(t *testing.T) {
	markup := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\b|new Function|setHTML`)
	inline := regexp.MustCompile(`(?i)<script>|\son[a-z]+=|\sstyle=|javascript:`)
	for name, source := range demoSources(t) {
		if found := markup.FindString(source); found != "" && path.Ext(name) == ".js" {
			t.Errorf("%s uses %s", name, found)
		}
		if found := inline.FindString(source); found != "" && path.Ext(name) == ".html" {
			t.Errorf("%s has %q, which the content security policy forbids", name, found)
		}
	}
}

func TestDemoElements(t *testing.T) {
	sources := demoSources(t)
	page := sources["index.html"]
	// Browser tests use these elements.
	for _, id := range []string{"name", "room", "join", "leave", "log", "message", "send", "state", "connection-id", "node-id", "rtt", "people", "count", "members", "typing"} {
		if strings.Count(page, ` id="`+id+`"`) != 1 {
			t.Errorf("no single element has the ID %q", id)
		}
	}
	for _, match := range regexp.MustCompile(`element\('([^']+)'\)`).FindAllStringSubmatch(sources["view.js"], -1) {
		if !strings.Contains(page, ` id="`+match[1]+`"`) {
			t.Errorf("view.js uses the element %q, which the page lacks", match[1])
		}
	}
	for name, source := range sources {
		for _, match := range regexp.MustCompile(`from '[./]+([^']+)'`).FindAllStringSubmatch(source, -1) {
			if _, ok := sources[match[1]]; !ok && match[1] != "stoa.js" {
				t.Errorf("%s imports %s, which does not exist", name, match[1])
			}
		}
	}
	for _, match := range regexp.MustCompile(`(?:src|href)="/([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if _, ok := sources[match[1]]; !ok && match[1] != "stoa.js" {
			t.Errorf("the page refers to /%s, which does not exist", match[1])
		}
	}
	for _, match := range regexp.MustCompile(`<(?:input|textarea)[^>]* id="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !strings.Contains(page, `<label for="`+match[1]+`"`) {
			t.Errorf("#%s has no label", match[1])
		}
	}
}

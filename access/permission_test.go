package access

import (
	"fmt"
	"testing"
)

func TestAllows(t *testing.T) {
	id := Identity{User: "ann", Permissions: []Permission{
		{Namespace: "chat", Rooms: []string{"lobby", "team-*", "user-{user}", "dm-{user}-*"}, Allow: Join | Emit},
		{Namespace: "chat", Rooms: []string{"lobby"}, Allow: Ask},
		{Namespace: "news", Allow: Connect},
		{Namespace: "ops", Allow: Emit},
	}}
	cases := []struct {
		actions         Actions
		namespace, room string
		want            bool
	}{
		{Join, "chat", "lobby", true},
		{Join | Emit, "chat", "lobby", true},
		{Join | Emit | Ask, "chat", "lobby", true}, // two permissions together
		{Ask, "chat", "team-1", false},
		{Join, "chat", "lobby2", false},
		{Join, "chat", "lobb", false},
		{Join, "chat", "", false},
		{Join, "chat", "team-", true},
		{Join, "chat", "team", false},
		{Join, "chat", "user-ann", true},
		{Join, "chat", "user-anna", false},
		{Join, "chat", "user-", false},
		{Join, "chat", "user-{user}", false},
		{Join, "chat", "dm-ann-bob", true},
		{Join, "chat", "dm-anna-bob", false},
		{Join, "news", "lobby", false},
		{History, "chat", "lobby", false},
	}
	for _, c := range cases {
		if got := id.Allows(c.actions, c.namespace, c.room); got != c.want {
			t.Errorf("%v in %q, room %q: %v, want %v", c.actions, c.namespace, c.room, got, c.want)
		}
	}
	for namespace, want := range map[string]Actions{"chat": Connect, "news": Connect, "ops": Connect | Emit, "shop": 0} {
		for i := range names {
			action := Actions(1 << i)
			if got := id.AllowsNamespace(action, namespace); got != (want&action != 0) {
				t.Errorf("%v in the namespace %q: %v, want %v", action, namespace, got, !got)
			}
		}
	}
}

// The ID of a user is data, not a pattern, and no user is not any user.
func TestTemplateTakesTheUserLiterally(t *testing.T) {
	permission := []Permission{{Namespace: "*", Rooms: []string{"user-{user}"}, Allow: Join}}
	between := Permission{Namespace: "*", Rooms: []string{"dm-{user}-*", "box:{user}:in"}, Allow: Join}
	permission = append(permission, between)
	cases := []struct {
		user, room string
		want       bool
	}{
		{"ann", "dm-ann-bob-1", true}, // as no other user has such a room
		{"ann-bob", "dm-ann-bob-1", false},
		{"ann-bob", "box:ann-bob:in", true},
		{"a:b", "box:a:b:in", false},
		{"*", "user-bob", false},
		{"*", "user-*", true},
		{"", "user-", false},
		{"{user}", "user-{user}", true},
	}
	for _, c := range cases {
		id := Identity{User: c.user, Permissions: permission}
		if got := id.Allows(Join, "any", c.room); got != c.want {
			t.Errorf("user %q in room %q: %v, want %v", c.user, c.room, got, c.want)
		}
	}
}

func TestAllowsDoesNotAllocate(t *testing.T) {
	id := Identity{User: "ann", Permissions: []Permission{{Namespace: "chat", Rooms: []string{"team-*", "dm-{user}-*"}, Allow: Join}}}
	if n := testing.AllocsPerRun(100, func() { id.Allows(Join, "chat", "dm-ann-bob") }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestValidate(t *testing.T) {
	good := Identity{User: "Ann\u00e9 \U0001F600", Info: []byte(`{"name":"Ann"}`), Permissions: []Permission{{Namespace: "a", Allow: Connect}}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string]Identity{
		"long user":      {User: string(make([]byte, MaxUser+1))},
		"control":        {User: "a\nb"},
		"invalid UTF-8":  {User: "\xff"},
		"lone surrogate": {User: "a\ufffd"},
		"zero width":     {User: "a\u200bnn"},
		"direction":      {User: "a\u202enn"},
		"byte order":     {User: "\ufeffann"},
		"line separator": {User: "a\u2028"},
		"paragraph":      {User: "a\u2029"},
		"info":           {Info: []byte(`{`)},
		"long info":      {Info: make([]byte, MaxInfo+1)},
		"no namespace":   {Permissions: []Permission{{Allow: Join}}},
		"no action":      {Permissions: []Permission{{Namespace: "a"}}},
		"unknown action": {Permissions: []Permission{{Namespace: "a", Allow: 1 << 7}}},
		"user and star":  {Permissions: []Permission{{Namespace: "a", Rooms: []string{"{user}*"}, Allow: Join}}},
		"empty room":     {Permissions: []Permission{{Namespace: "a", Rooms: []string{""}, Allow: Join}}},
		"other case":     {Permissions: []Permission{{Namespace: "a", Rooms: []string{"user-{User}"}, Allow: Join}}},
		"open brace":     {Permissions: []Permission{{Namespace: "a", Rooms: []string{"{user}-{"}, Allow: Join}}},
		"closing brace":  {Permissions: []Permission{{Namespace: "a", Rooms: []string{"{user}}"}, Allow: Join}}},
		"braces around":  {Permissions: []Permission{{Namespace: "a", Rooms: []string{"{us{user}er}"}, Allow: Join}}},
		"namespaces":     {Permissions: []Permission{{Namespace: "a*", Allow: Join}}},
		"star inside":    {Permissions: []Permission{{Namespace: "a", Rooms: []string{"a*b"}, Allow: Join}}},
	} {
		if bad.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// What String writes, ParseActions reads.
func TestParseActions(t *testing.T) {
	for i := range names {
		if got, err := ParseActions(Actions(1 << i).String()); err != nil || got != 1<<i {
			t.Errorf("%v: %v, %v", Actions(1<<i), got, err)
		}
	}
	if got, err := ParseActions("*"); err != nil || got != AllActions {
		t.Errorf("*: %v, %v", got, err)
	}
	if _, err := ParseActions("fly"); err == nil {
		t.Error("no error for an unknown action")
	}
}

// BenchmarkAllows asks for what only the last permission allows.
func BenchmarkAllows(b *testing.B) {
	for _, count := range []int{1, 10, MaxPermissions} {
		b.Run(fmt.Sprintf("permissions=%d", count), func(b *testing.B) {
			id := Identity{User: "ann"}
			for i := range count {
				id.Permissions = append(id.Permissions, Permission{Namespace: "chat", Rooms: []string{fmt.Sprintf("team-%d-*", i)}, Allow: Emit})
			}
			room := fmt.Sprintf("team-%d-lobby", count-1)
			b.ReportAllocs()
			for b.Loop() {
				if !id.Allows(Emit, "chat", room) {
					b.Fatal("not allowed")
				}
			}
		})
	}
}

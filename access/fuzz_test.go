package access

import (
	"strings"
	"testing"
)

// A pattern matches a room exactly if the room is the pattern with the user put
// in, or begins with it.
func FuzzMatches(f *testing.F) {
	for _, seed := range [][3]string{
		{"lobby", "ann", "lobby"}, {"team-*", "ann", "team-1"}, {"*", "", ""}, {"user-{user}", "ann", "user-ann"},
		{"user-{user}", "", "user-"}, {"{user}{user}*", "{user}", "{user}{user}x"}, {"dm-{user}-*", "*", "dm-*-bob"},
		{"{user", "a", "{user"}, {"{user}", "\xff", "\xff"}, {"a{user}b", "b", "abb"},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, pattern, user, room string) {
		p := Permission{Namespace: "chat", Rooms: []string{pattern}, Allow: Join}
		if p.Validate() != nil {
			return
		}
		id := Identity{User: user, Permissions: []Permission{p}}
		body, prefix := strings.CutSuffix(pattern, "*")
		template := strings.Contains(body, userMark)
		name := strings.ReplaceAll(body, userMark, user)
		want := room == name || prefix && strings.HasPrefix(room, name)
		if template && user == "" {
			want = false
		}
		for rest := body; ; { // the character behind each mark is in no ID
			_, after, found := strings.Cut(rest, userMark)
			if !found {
				break
			}
			if after != "" && strings.IndexByte(user, after[0]) >= 0 {
				want = false
			}
			rest = after
		}
		if got := id.Allows(Join, "chat", room); got != want {
			t.Errorf("pattern %q, user %q, room %q: %v, want %v", pattern, user, room, got, want)
		}
		if id.Allows(Join, "other", room) || id.Allows(Emit, "chat", room) {
			t.Error("the permission allows more than it says")
		}
	})
}

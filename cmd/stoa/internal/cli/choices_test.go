package cli

import "testing"

func TestChoices(t *testing.T) {
	choices := Choices[int]{{Name: "one", Value: 1}, {Name: "old", Value: 2, Hidden: true}, {Name: "two", Value: 2}, {Name: "three", Value: 3}}
	if got, want := choices.String(), "one, two or three"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, err := choices.Parse("--count", "old"); err != nil || got != 2 {
		t.Errorf("hidden: got %d, %v, want 2", got, err)
	}
	if _, err := choices.Parse("--count", "four"); err == nil || err.Error() != `--count "four": want one, two or three` {
		t.Errorf("unknown: got error %v", err)
	}
}

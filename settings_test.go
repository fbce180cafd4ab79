package tacet

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/tacet-dev/tacet/internal/app"
)

// Every field of Config is a setting of the same name and type, or one of those
// that New hands on by itself.
func TestEverySettingIsHandedOn(t *testing.T) {
	byHand := []string{"Profiles", "Encryption", "Providers", "Users", "Traces"}
	from, to := reflect.TypeFor[Config](), reflect.TypeFor[app.Config]()
	for i := range from.NumField() {
		f := from.Field(i)
		if slices.Contains(byHand, f.Name) {
			continue
		}
		if g, ok := to.FieldByName(f.Name); !ok || g.Type != f.Type {
			t.Errorf("the setting %s goes nowhere: app.Config has no field of this name and type", f.Name)
		}
	}
	overlap := time.Minute
	got := settings(Config{PublicURL: "https://app.example", Overlap: &overlap, Profiles: []string{"abp"}, Encryption: true})
	if got.PublicURL != "https://app.example" || *got.Overlap != overlap || got.Profiles.Names[0] != "abp" || !got.Encryption.Encryption {
		t.Errorf("settings that were lost: %+v", got)
	}
}

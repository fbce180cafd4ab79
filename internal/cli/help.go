package cli

import (
	"errors"
	"strings"

	"github.com/alecthomas/kong"
)

// helpCmd is "tacet help COMMAND", which helpFirst makes "tacet COMMAND --help".
type helpCmd struct {
	Command []string `arg:"" optional:"" help:"The command, like user add."`
}

// Run is reached only by "tacet --some-flag help".
func (c *helpCmd) Run() error {
	return &usageError{errors.New("say help first: tacet help COMMAND")}
}

func helpFirst(args []string) []string {
	if len(args) == 0 || args[0] != "help" || len(args) > 1 && strings.HasPrefix(args[1], "-") {
		return args
	}
	return append(append([]string{}, args[1:]...), "--help")
}

// addExamples shows the examples of each command in its help.
func addExamples(n *kong.Node, path string) {
	if text, ok := examples[path]; ok {
		n.Detail = strings.TrimSpace(n.Detail + "\n\nExamples:\n\n" + indent(text))
	}
	for _, child := range n.Children {
		addExamples(child, strings.TrimSpace(path+" "+child.Name))
	}
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}

// examples are of commands by their path.
var examples = map[string]string{
	"": `
tacet dev
tacet serve --public-url https://app.example.com --data /var/lib/tacet
tacet help user add`,
	"serve": `
tacet serve --public-url https://app.example.com --data /var/lib/tacet
tacet --config /etc/tacet/tacet.yaml serve
tacet serve --public-url https://app.example.com --upstream /api=http://127.0.0.1:9000 --require /api/admin=admin:*`,
	"dev": `
tacet dev
tacet dev --listen 127.0.0.1:9090 --access-ttl 30s`,
	"user": `
tacet user add alice --password-stdin --role viewer <password
tacet user list`,
	"user add": `
tacet user add alice --password-stdin <password
tacet user add alice --password-stdin --role viewer --email alice@example.com <password`,
	"user import": `
tacet user import users.jsonl --dry-run
tacet user import users.jsonl`,
	"user show":    `tacet user show alice`,
	"user edit":    `tacet user edit alice --display-name "Alice Liddell" --email alice@example.com`,
	"user remove":  `tacet user remove alice`,
	"user passwd":  `tacet user passwd alice --password-stdin <password`,
	"user disable": `tacet user disable alice`,
	"user enable":  `tacet user enable alice`,
	"user grant":   `tacet user grant alice viewer`,
	"user revoke":  `tacet user revoke alice viewer`,
	"user list": `
tacet user list
tacet user list --output json`,
	"role":        `tacet role add viewer --permission orders:read`,
	"role add":    `tacet role add viewer --permission orders:read --permission 'reports:*'`,
	"role grant":  `tacet role grant viewer --permission orders:export`,
	"role revoke": `tacet role revoke viewer --permission orders:export`,
	"role remove": `tacet role remove viewer`,
	"role list":   `tacet role list`,
	"session":     `tacet session list --user alice`,
	"session list": `
tacet session list
tacet session list --user alice --output json`,
	"session end": `
tacet session end 0192f3c4-7a10-7000-8000-000000000000
tacet session end --user alice`,
	"client":        `tacet client add my-app --scope "openid profile" --redirect-uri https://app.example.com/callback`,
	"client remove": `tacet client remove my-app`,
	"client list":   `tacet client list`,
	"client add": `
tacet client add my-app --scope "openid profile" --redirect-uri https://app.example.com/callback
tacet client add my-server --confidential --scope "openid orders:read" --audience https://api.example.com \
    --redirect-uri https://server.example.com/callback`,
	"client update":        `tacet client update my-app --scope "openid profile email"`,
	"client secret":        `tacet client secret rotate my-server`,
	"client secret rotate": `tacet client secret rotate my-server --overlap 1h`,
	"apikey":               `tacet apikey list`,
	"apikey remove":        `tacet apikey remove my-app`,
	"apikey list": `
tacet apikey list
tacet apikey list --output json`,
	"apikey add": `
tacet apikey add my-app --permission admin:sessions:begin
tacet apikey add people-sync --permission 'admin:users:*' --permission admin:sessions:write --expires 90d`,
	"key":      `tacet key list`,
	"key list": `tacet key list --output json`,
	"key rotate": `
tacet key rotate
tacet key rotate --now`,
	"migrate":        `tacet migrate --database-url-file /etc/tacet/database-url`,
	"migrate up":     `tacet migrate up --database-url-file /etc/tacet/database-url`,
	"migrate status": `tacet migrate status --database-url-file /etc/tacet/database-url`,
	"migrate down":   `tacet migrate down --to 4 --database-url-file /etc/tacet/database-url`,
	"migrate copy":   `tacet migrate copy --from sqlite:/var/lib/tacet --database-url-file /etc/tacet/database-url`,
	"profile":        `tacet profile list`,
	"profile list":   `tacet profile list`,
	"profile show":   `tacet profile show envelope >my.yaml`,
	"profile check":  `tacet profile check my.yaml`,
	"config":         `tacet --config /etc/tacet/tacet.yaml config validate`,
	"config print": `
tacet config print
tacet --config /etc/tacet/tacet.yaml config print >all.yaml`,
	"config validate": `tacet --config /etc/tacet/tacet.yaml config validate`,
	"doctor":          `tacet --config /etc/tacet/tacet.yaml doctor`,
	"version":         `tacet version`,
	"help":            `tacet help user add`,
	"completion":      `tacet completion --help`,
}

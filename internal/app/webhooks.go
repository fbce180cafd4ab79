package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/tacet-dev/tacet/internal/webhooks"
)

// checkWebhook is the rule for Config.Webhooks.
func (c *Config) checkWebhook() error {
	url, file := c.Webhooks.Webhook, c.Webhooks.WebhookSecretFile
	switch {
	case url == "" && file == "":
		return nil
	case url == "":
		return errors.New("webhook-secret-file is set without webhook: say where the messages go")
	case file == "":
		return errors.New("webhook is set without webhook-secret-file: the receiver could not tell who sends the messages")
	}
	if err := checkSystemURL("webhook", url); err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("webhook-secret-file can't be read: %w", err)
	}
	if c.webhookSecret, err = webhooks.ParseSecret(strings.TrimSpace(string(text))); err != nil {
		return fmt.Errorf("webhook-secret-file %s: %w", file, err)
	}
	return nil
}

// webhook sends what is committed; nil: nobody is told.
func (a *App) webhook() *webhooks.Sender {
	if a.Config.Webhooks.Webhook == "" {
		return nil
	}
	return webhooks.New(webhooks.Config{URL: a.Config.Webhooks.Webhook, Secret: a.Config.webhookSecret,
		Log: a.bounds.Events(a.DB.Events()), Position: webhooks.NewPosition(a.documents), Clock: a.Config.Clock, Logger: a.Config.Logger})
}

// needed is events.Config.Needed; nil if nobody needs old events.
func (a *App) needed() func(context.Context) (time.Time, error) {
	if s := a.webhook(); s != nil {
		return s.Undelivered
	}
	return nil
}

Feature: The events of a provider when definitions arrive, fail to arrive and change

  # Mixpanel is mpflags-dev. Its definitions have the boolean flag "boolean-flag", with the value true. A handler for
  # each kind of event is added before the provider is set. "So far the events are" waits for this many events and then
  # compares all of them, in order. An event that must not come is noticed by a later step: "no other event comes" waits
  # for three more fetches.

  Scenario: Refused credentials at the start
    Given Mixpanel that refuses the credentials
    When the provider is set
    Then setting it fails, and the message contains "Mixpanel refused the credentials: HTTP 401"
    And the status is "ERROR"
    And so far the events are "ERROR"
    And "boolean-flag" gives its default with "PROVIDER_FATAL"
    When Mixpanel accepts the credentials
    Then so far the events are "ERROR, READY"
    And the status is "READY"
    And "boolean-flag" gives its variant
    And no other event comes
    When the provider is shut down
    Then no thread of it is left

  Scenario: No server at the start
    Given Mixpanel that is down
    When the provider is set
    Then setting it fails
    And the status is "ERROR"
    And so far the events are "ERROR"
    And "boolean-flag" gives its default with "PROVIDER_NOT_READY"
    When Mixpanel is up
    Then so far the events are "ERROR, READY"
    And the status is "READY"
    And "boolean-flag" gives its variant
    And no other event comes
    When the provider is shut down
    Then no thread of it is left

  Scenario Outline: Fetches that fail for a while
    Given Mixpanel in good health
    When the provider is set
    Then so far the events are "READY"
    When Mixpanel answers <status> to every fetch
    Then so far the events are "READY, STALE"
    And the status is "STALE"
    And "boolean-flag" gives its variant
    When Mixpanel is in good health again
    Then so far the events are "READY, STALE, READY"
    And the status is "READY"
    And "boolean-flag" gives its variant
    And no other event comes
    When the provider is shut down
    Then no thread of it is left

    Examples:
      | status |
      | 500    |
      | 401    |

  Scenario: A flag that changes
    Given Mixpanel in good health
    When the provider is set
    Then so far the events are "READY"
    When the definition of "boolean-flag" changes so that its value is false
    Then so far the events are "READY, CONFIGURATION_CHANGED"
    And the last event names the flags "boolean-flag"
    And the status is "READY"
    And the value of "boolean-flag" is false
    And no other event comes
    When the provider is shut down
    Then no thread of it is left

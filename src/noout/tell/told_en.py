"""English: the messages. Voice: short, exact; first what it means, then the evidence."""

WORDS = {
    "notice.planned": "{date}: work on a server that carries your services",
    "notice.changed": "Changed: work on a server that carries your services, now {date}",
    "notice.changed.times": "The times are other than we told you before.",
    "notice.changed.services": "It touches other services than we told you before.",
    "notice.changed.both": "The times, and the services it touches, are other than we told you before.",
    "notice.why.fans": "A fan in one of our servers does not run as it should, so we work on that server. What it "
    "means for your services is below.",
    "notice.why.power": "A power supply in one of our servers does not work as it should, so we work on that server. "
    "What it means for your services is below.",
    "notice.why.memory": "The memory in one of our servers reports errors, so we work on that server. What it means "
    "for your services is below.",
    "notice.why.other": "One of our servers needs work by hand. What it means for your services is below.",
    "notice.when": "When",
    "notice.services": "Your services",
    "notice.expect": "What you may notice",
    "notice.expect.reduced-redundancy.one": "{names} moves while it runs: expect a short pause on the way out and one "
    "on the way back, most often well below a second. That is an expectation, not a promise; we measure it where a "
    "probe asks.",
    "notice.expect.reduced-redundancy.many": "{names} move while they run: expect a short pause for each on the way "
    "out and one on the way back, most often well below a second. That is an expectation, not a promise; we measure "
    "it where a probe asks.",
    "notice.expect.degraded.one": "{names} restarts twice, as agreed: some seconds each time.",
    "notice.expect.degraded.many": "{names} restart twice, as agreed: some seconds each time.",
    "notice.expect.outage.one": "{names} is switched off while we work, as agreed.",
    "notice.expect.outage.many": "{names} are switched off while we work, as agreed.",
    "notice.redundancy": "Redundancy",
    "notice.redundancy.text": "While that server is away your data has one copy less than usual, and a failure "
    "elsewhere could show.",
    "notice.acknowledge": "Please acknowledge",
    "notice.acknowledge.text": "Please say on your page that you have read this. Unless the work cannot wait, we begin "
    "only after you have, or after we have spoken to you.",
    "notice.do": "What you need to do",
    "notice.do.text": "Nothing. If anything changes, we write again.",
    "notice.done": "The work on the server is done",
    "notice.done.measured": "The work on the server is done. Longest pause: {figure}",
    "notice.called-off": "The work of {date} was not finished",
    "notice.interrupted": "Your services were interrupted on {date}",
    "notice.interrupted.lede": "During our work on a server, or around it, one of your services gave no answer for "
    "longer than it should have. Here is what we measured.",
    "notice.correction": "Correction of what we wrote about {date}",
    "notice.correction.lede": "What we wrote before was wrong: {why} This message takes its place.",
    "notice.repaired": "Repaired: the fault stayed away",
    "notice.repaired.lede": "We have watched the server since our work, and the fault has not come back. From today "
    "we call it repaired.",
    "notice.came-back": "The fault came back",
    "notice.came-back.lede": "We had not called the server cured yet, and went on watching it. It will be worked on "
    "again; we will tell you when.",
    "notice.work": "The work",
    "notice.over": "Watched until",
    "notice.incident": "{customer}: {n} interruptions to look at before anything is said",
    "notice.incident.lede": "{customer} was interrupted around maintenance {maintenance}. The customer has been told "
    "nothing yet, and no message about unnoticed work will be made.",
    "notice.incident.next": "What is next",
    "notice.incident.next.text": "A message to the customer with these figures lies ready as a draft. Release it, or "
    "withdraw it and write yourself.",
    "notice.link": "All of it, and what comes: {url}",
    "notice.link.report": "The whole report, and how you can check it: {url}",
    "notice.phone": "If something feels wrong, call {phone}.",
    "notice.noticed": "Did you notice anything after all? Please answer this mail: our measurements do not see "
    "everything.",
    "month.name": "{month} {year}",
    "month.title": "Work behind the scenes in {month}",
    "month.lede.none": "In this month we did no work that touched your services.",
    "month.lede.one": "In this month we worked once on a server that carries you. Here is what was done and what was "
    "measured.",
    "month.lede.many": "In this month we worked {n} times on servers that carry you. Here is what was done and what "
    "was measured.",
    "month.works": "What we did",
    "month.services": "Your services in this month",
    "month.col.day": "Day",
    "month.col.what": "Why",
    "month.col.services": "Services that left their server",
    "month.col.measured": "Measured for",
    "month.unagreed.one": "{n} interruption",
    "month.unagreed.many": "{n} interruptions",
    "month.restarts.one": "{n} restart, as agreed",
    "month.restarts.many": "{n} restarts, as agreed",
    "month.note": "Each line stands on a report that we sent you; its figures are the same. We measure only while we "
    "work on a server that carries you: these figures say nothing of the rest of the month, and are not averaged "
    "with it.",
    "month.seal": "The fingerprint below is that of the last line of the record of what we told you. Keep it: a "
    "record that is written anew does not lead to it.",
}

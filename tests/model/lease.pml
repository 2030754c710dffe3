// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who leads, mode `majority`: the part of docs/protocol.md that the first promise rests on (two
 * hosts never have their gates open at once), small enough to be checked in every state that it
 * can reach. docs/safety.md says what follows from it and what does not; README.md, how to run it.
 * Rules in [brackets] are those of docs/protocol.md.
 *
 * What stands for what:
 *
 *   Nodes    three; all vote; one group.
 *   Time     ticks. In each, every node's clock goes on by one; but every RATE ticks any of them
 *            may stand still once. So while a fast clock counts RATE, which is D, a slow one
 *            counts RATE - 1, which is the lease: rho is 1/RATE, D(1-rho) is LEASE [M8], and
 *            nothing is to spare.
 *   Gate     for how many ticks of its own host's clock a gate is open still. In the kernel it is
 *            an absolute instant, so it runs on whatever the agent does.
 *   Network  one frame may be under way from each node to each other. A newer one takes its place,
 *            so any may be lost, and it arrives after any time, or never. Of frames that overtake
 *            each other the older is not used [A13], and none is used twice [A12]: both are
 *            losses.
 *   Echo     names a frame [A7]; here, its age on its sender's clock, which is what the sender
 *            looks up. Ages from LEASE on give nothing and are not told apart.
 *   Boots    a frame knows whether its sender, or its receiver, has begun a new life since.
 *            Greetings [A8, A9] only delay the use of frames, so there are none.
 *
 * A node may do at any moment what the protocol allows, or not do it. That is more than the agent
 * does; so what cannot happen here cannot happen there. It includes:
 *
 *   rank, stagger, pre-vote, yielding, hold-back [M11 to M15, H8]: all say who may not stand yet
 *   hung, stopped, killed agents, and re-execution [U1, U3]: a node does nothing for a while
 *   handover [H7]: a leader lets go before its lease ends, and somebody else stands
 *   intervals, answers, late alarms [T]: frames are sent at any time
 *
 * -DBROKEN_... leaves out one thing, and must be caught. -DREACH_... claims that something good
 * never happens, and must fail: else all this would prove nothing.
 */

#ifndef RATE
#define RATE 3 /* D in ticks, and how often a clock may stand still */
#endif
#ifndef TERMS
#define TERMS 2 /* the last term that anybody stands in */
#endif
#ifndef RESTARTS
#define RESTARTS 1 /* new lives, of all nodes together */
#endif
#ifndef CHANGES
#define CHANGES 0 /* changes of a node's list of voters, of all nodes together */
#endif

#ifndef RESTARTERS
#define RESTARTERS 3 /* which nodes may begin new lives: 0 to this less 1 */
#endif

#ifndef CHANGED
#define CHANGED 0 /* 1: node 1 has been told to leave out node 2 when all begins */
#endif

#define PROMISE RATE
#define QUIET RATE /* M6: the longest lease that any configuration may ask */
#ifdef BROKEN_NO_MARGIN
#define LEASE RATE
#else
#define LEASE (RATE - 1)
#endif
#define OLD LEASE

#define NOBODY 3
#define FOLLOWER 0
#define CANDIDATE 1
#define LEADER 2

typedef node {
    unsigned phase : 2;
    unsigned term : 3;     /* that it claims */
    unsigned seen : 3;     /* the newest that it has granted or stood in */
    unsigned released : 3; /* M10 */
    unsigned holder : 2;   /* of its promise, also when that has ended [M2] */
    unsigned promised : 3; /* the promise's term */
    unsigned left : 3;     /* of the promise, on its own clock */
    bit current;           /* M5: the holder's newest frame has renewed it */
    bit past;              /* made to an earlier life of its holder (one broken variant asks) */
    unsigned gate : 3;
    unsigned quiet : 3;    /* M6: grants nothing for so long */
    unsigned told : 3;     /* M6: who has told that it holds no lease */
    bit few;               /* its voters are 0 and 1; else all three */
    bit kept;              /* its voters are what they were throughout its earlier life, or its
                              last 3 s, as the note on its disk says */
#if RESTARTS > 0 && CHANGES > 0
    unsigned fresh : 3;    /* for how long the note must not name its present voters */
#endif
};

/* From one node to another: the frame under way, and what the receiver has heard. */
typedef link {
    unsigned age : 3;      /* of the newest frame used, while it is what renewed the promise */
    bit flies;
    bit former;            /* its sender has begun another life since */
    bit early;             /* its receiver has */
    unsigned claim : 3;    /* a term, or 0 */
    unsigned sent : 3;     /* its own age, on the sender's clock */
    unsigned releases : 3;
    unsigned acks : 3;     /* M5: the promise's term, if the receiver holds it */
    unsigned echoed : 3;   /* the age of what it echoes, on the receiver's clock */
    bit few;
};

node n[3];
link l[9];
unsigned beat : 3;
unsigned restarts : 2;
unsigned changes : 2;
byte i, k, t; /* of the step that is being made; 0 between steps */
#ifdef REACH_HANDOVER
unsigned moved : 2; /* who has let go of a lease that ran, plus 1 */
#endif
#ifdef REACH_TAKEOVER
unsigned moved : 2; /* whose lease has ended by itself, plus 1 */
#endif

#ifdef BROKEN_TWO_STEPS
#define FEW 1 /* two voters less: node 0 alone */
#else
#define FEW 2
#endif

#define at(from, to) (3 * (from) + (to))
#define open(x) (n[x].gate > 0)
#define member(of, x) (!n[of].few || (x) < FEW)
#define more(a, b) ((a) > (b) -> (a) : (b))

/*
 * Whether a lease of x would be prolonged by the echo of a frame `age` old. A claim is void when
 * its echo would prolong nothing. A voter that hears a void claim would only bind itself: to say
 * that it does not bind itself is to allow more, and spares most of the states.
 */
#ifdef BROKEN_FROM_RECEIPT
#define prolongs(x, age) true
#else
#define prolongs(x, age) (LEASE - (age) > n[x].gate)
#endif
#define void(z, x) (l[z].former || l[z].claim != n[x].term || !prolongs(x, l[z].sent))

/* What must never be, and what must be possible. */
#define SAFE assert(open(0) + open(1) + open(2) <= 1)
#ifdef REACH_LEADER
#define LEADS(x) assert(false)
#endif
#ifdef REACH_HANDOVER
#define MOVES(x) if :: n[x].gate > 0 -> moved = x + 1 :: else -> moved = 0 fi;
#define LEADS(x) assert(moved == 0 || moved == x + 1)
#endif
#ifdef REACH_TAKEOVER
#define ENDS(x) moved = x + 1;
#define LEADS(x) assert(moved == 0 || moved == x + 1)
#endif
#ifdef REACH_LEADER_AFTER_RESTART
#define LEADS(x) assert(restarts == 0 || n[x].term < 2)
#endif
#ifdef REACH_TOLD
#define TOLD(x) assert(false);
#endif
#ifdef REACH_TWO_LISTS
#define LEADS(x) assert(n[0].few == n[1].few)
#endif
#ifndef LEADS
#define LEADS(x) skip
#endif
#ifndef MOVES
#define MOVES(x)
#endif
#ifndef ENDS
#define ENDS(x)
#endif
#ifndef TOLD
#define TOLD(x)
#endif

/* A node lets go: the gate first, then the release, repeated in every frame [M9, M10, H7]. */
inline let_go(x) {
    n[x].released = n[x].term;
    n[x].term = 0;
    n[x].phase = FOLLOWER;
#ifndef BROKEN_RELEASE_FIRST
    n[x].gate = 0
#endif
}

/* One tick of x's clock. */
inline pass(x) {
    if :: n[x].left > 0 -> n[x].left-- :: else fi;
    if
    :: n[x].quiet > 0 ->
        n[x].quiet--;
        if :: n[x].quiet == 0 -> n[x].kept = 1 :: else fi
    :: else
    fi;
#if RESTARTS > 0 && CHANGES > 0
    if
    :: n[x].fresh > 0 ->
        n[x].fresh--;
        if :: n[x].fresh == 0 && n[x].quiet == 0 -> n[x].kept = 1 :: else fi
    :: else
    fi;
#endif
    if
    :: n[x].gate > 0 ->
        n[x].gate--;
        /* T7: what has ended is seen before anything else is done. */
        if
        :: n[x].gate == 0 && n[x].phase == LEADER ->
            printf("%d's lease ends\n", x);
            ENDS(x)
            let_go(x)
        :: else
        fi
    :: else
    fi;
    k = 0;
    do
    :: k < 3 ->
        if :: l[at(x, k)].age < OLD -> l[at(x, k)].age++ :: else fi;
        if :: l[at(x, k)].flies && l[at(x, k)].sent < OLD -> l[at(x, k)].sent++ :: else fi;
        if :: l[at(k, x)].flies && l[at(k, x)].echoed < OLD -> l[at(k, x)].echoed++ :: else fi;
        k++
    :: else -> break
    od
}

inline discard(z) {
    l[z].flies = 0; l[z].former = 0; l[z].early = 0; l[z].claim = 0; l[z].sent = OLD;
    l[z].releases = 0; l[z].acks = 0; l[z].echoed = OLD; l[z].few = 0
}

/* A frame says all that its sender knows [W1]. It goes to one node, which may never get it. */
inline send(x, y) {
    discard(at(x, y));
    l[at(x, y)].flies = 1;
    l[at(x, y)].claim = n[x].term;
    l[at(x, y)].sent = (n[x].term > 0 -> 0 : OLD);
    l[at(x, y)].releases = n[x].released;
    l[at(x, y)].acks = (n[x].left > 0 && n[x].current && n[x].holder == y -> n[x].promised : 0);
    l[at(x, y)].echoed = l[at(y, x)].age;
    l[at(x, y)].few = n[x].few
}

/* M6: a new life keeps quiet until every member has told it that it claims nothing. */
inline hear_told(x, y) {
    if
    :: n[y].quiet > 0 && n[y].kept && l[t].claim == 0 && !l[t].early && l[t].few == n[y].few ->
        n[y].told = n[y].told | (1 << x);
        if
        :: n[y].told == (7 & ~(1 << y)) || (n[y].few && n[y].told == (3 & ~(1 << y))) ->
            printf("%d knows from every member that nobody leads\n", y);
            n[y].quiet = 0;
            n[y].kept = 1;
            TOLD(y)
        :: else
        fi
    :: else
    fi
}

/* y's promise to x [M1 to M3, M5, M10]. */
inline vote(x, y) {
    if :: n[y].holder == x && l[t].releases >= n[y].promised -> n[y].left = 0 :: else fi;
    if
    :: l[t].claim > 0 && !void(t, x) && n[y].phase == FOLLOWER && n[y].quiet == 0 &&
            ((n[y].holder == x && n[y].promised == l[t].claim) ||
             (l[t].claim > n[y].seen && (n[y].left == 0 || n[y].holder == x))) ->
        printf("%d promises term %d to %d\n", y, l[t].claim, x);
        n[y].holder = x;
        n[y].promised = l[t].claim;
        n[y].left = PROMISE;
        n[y].current = 1;
        n[y].past = 0;
        n[y].seen = more(l[t].claim, n[y].seen);
        l[t].age = l[t].sent
    :: else ->
        if :: n[y].holder == x -> n[y].current = 0 :: else fi;
#ifdef BROKEN_ECHO
        l[t].age = l[t].sent
#endif
    fi
}

/*
 * M8: what the echo in x's frame gives y. A majority is y itself and one more, and y's own vote
 * counts from its newest frame, which is no older than any that x echoes: so the best of the
 * others decides.
 */
#ifdef BROKEN_ECHO
#define names(z, y) true
#else
#ifdef BROKEN_ANY_TERM
#define names(z, y) (l[z].acks > 0)
#else
#define names(z, y) (l[z].acks == n[y].term)
#endif
#endif
inline credit(x, y) {
    if
#ifdef BROKEN_FROM_RECEIPT
    :: n[y].phase != FOLLOWER && names(t, y) ->
        n[y].gate = LEASE;
#else
    :: n[y].phase != FOLLOWER && names(t, y) && l[t].echoed < OLD ->
        n[y].gate = more(LEASE - l[t].echoed, n[y].gate);
#endif
        printf("%d's lease in term %d runs for %d ticks: %d has acknowledged\n", y, n[y].term,
               n[y].gate, x);
        if :: n[y].phase == CANDIDATE -> n[y].phase = LEADER; LEADS(y) :: else fi
    :: else
    fi
}

inline receive(x, y) {
    t = at(x, y);
    if :: member(y, x) -> hear_told(x, y); vote(x, y); credit(x, y) :: else fi;
    discard(t)
}

/* M16: some newer term. A new life does not know which ones its earlier life has claimed. */
inline stand(x, newer) {
    n[x].term = n[x].seen + newer;
    n[x].seen = n[x].term;
    n[x].phase = CANDIDATE;
    /* M4: its own promise is to itself. It needs no clock: who stands or leads grants nothing. */
    n[x].holder = NOBODY;
    n[x].promised = 0;
#ifdef BROKEN_TWO_STEPS
    if :: n[x].few -> n[x].phase = LEADER; n[x].gate = LEASE :: else fi;
#endif
    printf("%d stands in term %d\n", x, n[x].term)
}

/*
 * Its list of voters has one node less, or more [M18], while it lives or with a new life. What it
 * has promised, it keeps [M20]; the note of its voters goes, and comes back when no promise can run
 * that is older than the list [M6].
 */
inline change(x) {
    n[x].few = 1 - n[x].few;
    n[x].told = 0;
#if !defined(BROKEN_CHANGED_AND_TOLD) && !defined(BROKEN_NOTED_AT_ONCE)
    n[x].kept = 0;
#if RESTARTS > 0 && CHANGES > 0
    n[x].fresh = QUIET;
#endif
#endif
#ifdef BROKEN_CHANGE_FORGETS
    n[x].left = 0;
    n[x].current = 0;
#endif
    printf("%d has %d voters from now on\n", x, (n[x].few -> FEW : 3))
}

/* A new life: all is forgotten, and the gate of the earlier one is shut first [M6, ADR 4]. */
inline restart(x) {
    printf("%d begins a new life\n", x);
    MOVES(x)
#ifndef BROKEN_OLD_GATE
    n[x].gate = 0;
#endif
    n[x].phase = FOLLOWER; n[x].term = 0; n[x].seen = 0; n[x].released = 0;
    n[x].holder = NOBODY; n[x].promised = 0; n[x].left = 0; n[x].current = 0; n[x].past = 0;
    n[x].told = 0;
#if RESTARTS > 0 && CHANGES > 0
    n[x].fresh = 0; /* its quarantine is as long */
#endif
#ifndef BROKEN_VOTES_AT_ONCE
    n[x].quiet = QUIET;
#endif
    k = 0;
    do
    :: k < 3 ->
        l[at(x, k)].former = l[at(x, k)].flies;
        l[at(k, x)].early = l[at(k, x)].flies;
        l[at(x, k)].age = OLD; l[at(k, x)].age = OLD; /* nobody echoes another life */
        l[at(k, x)].acks = 0; l[at(k, x)].echoed = OLD;
#ifdef BROKEN_OLD_PROMISE
        if :: n[k].holder == x && n[k].left > 0 -> n[k].past = n[k].current :: else fi;
#endif
        k++
    :: else -> break
    od
#ifdef BROKEN_OLD_PROMISE
    n[x].kept = 0 /* the terms that others would tell it are not in this model */
#endif
}

/* Not in the protocol: y echoes what it has not used, beside a promise to x's earlier life. */
inline greet(x, y) {
    printf("%d greets the new life of %d\n", y, x);
    l[at(x, y)].age = l[at(x, y)].sent;
    discard(at(x, y))
}

/* Not in the protocol: re-execution with a snapshot [U1] that lacks the promise. */
inline forget(x) {
    printf("%d forgets its promise\n", x);
    n[x].left = 0;
    n[x].current = 0
}

/*
 * What cannot change anything any more is made equal, so that states which differ in nothing else
 * are one. Each line has to be true of every future; a broken variant may need what the others do
 * not.
 */
inline tidy_link(z, x, y) {
#ifndef BROKEN_ECHO
    if
    :: n[y].current && n[y].holder == x && !n[y].past &&
            (n[y].promised != n[x].term || !prolongs(x, l[z].age)) ->
        n[y].current = 0
    :: else
    fi;
    if :: n[y].holder != x || !n[y].current -> l[z].age = OLD :: else fi;
#endif
    if
    :: l[z].flies ->
        if
        :: n[y].phase == FOLLOWER || !names(z, y) || !prolongs(y, l[z].echoed) ->
#ifdef BROKEN_ANY_TERM
            if :: !prolongs(y, l[z].echoed) -> l[z].acks = 0; l[z].echoed = OLD :: else fi
#else
            l[z].acks = 0;
            l[z].echoed = OLD
#endif
        :: else
        fi;
        if
        :: !(n[y].holder == x && n[y].left > 0 && n[y].promised <= l[z].releases) ->
            l[z].releases = 0
        :: else
        fi;
        if
        :: n[y].quiet == 0 ->
            l[z].early = 0;
            l[z].few = 0;
            if :: void(z, x) -> l[z].claim = 0; l[z].former = 0; l[z].sent = OLD :: else fi;
            if
            :: l[z].claim == 0 && l[z].releases == 0 && l[z].acks == 0 && l[z].echoed >= OLD &&
                    !(n[y].holder == x && n[y].current) ->
                discard(z)
            :: else
            fi
        :: else
        fi
    :: else
    fi
}

inline tidy_node(x) {
    t = 0; /* does anybody keep, or may anybody still make, a promise that x has released? */
    k = 0;
    do
    :: k < 3 ->
        if
        :: n[k].holder == x && n[k].left > 0 && n[k].promised <= n[x].released -> t = 1
        :: l[at(x, k)].claim > 0 && !void(at(x, k), x) && l[at(x, k)].claim <= n[x].released ->
            t = 1
        :: else
        fi;
        if :: x != k -> tidy_link(at(x, k), x, k) :: else fi;
        k++
    :: else -> break
    od;
    if :: t == 0 -> n[x].released = 0 :: else fi;
    if :: n[x].quiet == 0 -> n[x].told = 0 :: else fi;
    if
    :: n[x].left == 0 ->
        n[x].current = 0;
        n[x].past = 0;
        /* A term is claimed by its holder only, and not again once it has let go. */
        if
        :: n[x].holder != NOBODY && restarts == RESTARTS ->
            if
            :: n[n[x].holder].seen >= n[x].promised && n[n[x].holder].term != n[x].promised &&
                    l[at(n[x].holder, x)].claim != n[x].promised ->
                n[x].holder = NOBODY;
                n[x].promised = 0
            :: else
            fi
        :: else
        fi
    :: else
    fi
}

inline tidy() {
    SAFE;
    i = 0;
    do
    :: i < 3 -> tidy_node(i); i++
    :: else -> break
    od;
    i = 0; k = 0; t = 0
}

/* What may happen next. */

/* Nodes with the same voters are alike: whoever stands first is called 0. */
#if CHANGES + CHANGED == 0
#define first(x) (x == 0 || n[0].seen + n[1].seen + n[2].seen + restarts > 0)
#else
#define first(x) true
#endif
#define may_stand(x, newer)                                                                       \
    (n[x].phase == FOLLOWER && n[x].quiet == 0 && n[x].left == 0 && n[x].seen + newer <= TERMS && \
     first(x))
#define may_restart(x) (restarts < RESTARTS && x < RESTARTERS)
#define may_change(x) (changes < CHANGES && x < FEW)

#ifdef BROKEN_NOTED_AT_ONCE
#define LIVE_ONLY true /* with a new life it is CHANGED_AND_TOLD */
#else
#define LIVE_ONLY false
#endif

#define CLOCK(x) if :: d_step { pass(x); skip } :: beat == 0 -> printf("%d's clock stands\n", x) fi
#define TICK                                                                                      \
    :: atomic {                                                                                   \
        printf("tick\n");                                                                         \
        CLOCK(0); CLOCK(1); CLOCK(2);                                                             \
        d_step { beat = (beat + 1) % RATE; tidy(); skip }                                         \
    }
#define PAIR(x, y)                                                                                \
    :: d_step { send(x, y); tidy(); skip }                                                        \
    :: d_step { l[at(x, y)].flies -> receive(x, y); tidy(); skip }
#define NODE(x)                                                                                   \
    :: d_step { may_stand(x, 1) -> stand(x, 1); tidy(); skip }                                    \
    :: d_step { may_stand(x, 2) -> stand(x, 2); tidy(); skip }                                    \
    :: d_step { n[x].term > 0 -> printf("%d lets go\n", x); MOVES(x) let_go(x); tidy(); skip }    \
    :: d_step { may_restart(x) -> restarts++; restart(x); tidy(); skip }                         \
    :: d_step { may_change(x) -> changes++; change(x); tidy(); skip }                             \
    :: d_step { may_restart(x) && may_change(x) && !LIVE_ONLY ->                                 \
        restarts++; changes++; restart(x); change(x); tidy(); skip }

#define SHUT(x) :: d_step { n[x].phase == FOLLOWER && open(x) -> n[x].gate = 0; tidy(); skip }
#define FORGET(x) :: d_step { may_restart(x) -> restarts++; forget(x); tidy(); skip }
#define GREET(x, y)                                                                               \
    :: d_step { l[at(x, y)].claim > 0 && !l[at(x, y)].former && n[y].past ->                      \
        greet(x, y); tidy(); skip }

init {
    d_step {
        i = 0;
        do
        :: i < 3 -> n[i].holder = NOBODY; n[i].kept = 1; i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < 9 -> discard(i); l[i].age = OLD; i++
        :: else -> break
        od;
        i = 0;
        n[1].few = CHANGED
    }
    do
    TICK
    PAIR(0, 1) PAIR(0, 2) PAIR(1, 0) PAIR(1, 2) PAIR(2, 0) PAIR(2, 1)
    NODE(0) NODE(1) NODE(2)
#ifdef BROKEN_RELEASE_FIRST
    SHUT(0) SHUT(1) SHUT(2)
#endif
#ifdef BROKEN_FORGETFUL
    FORGET(0) FORGET(1) FORGET(2)
#endif
#ifdef BROKEN_OLD_PROMISE
    GREET(0, 1) GREET(0, 2) GREET(1, 0) GREET(1, 2) GREET(2, 0) GREET(2, 1)
#endif
    od
}

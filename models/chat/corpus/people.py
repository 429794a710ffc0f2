"""Topics about the two who talk: a visitor, and the robot that keeps a lighthouse."""

TOPICS = {
    "greeting": """
AHOY / HELLO: (hello|hi|hey|howdy) (there|robot|lamp|again|); (hello|hi) (my|old|dear) friend
AHOY: (ahoy|greetings) (robot|keeper|captain|); anybody (there|home|in); knock knock
MORNING: (good|a fine) morning (to you|keeper|); (morning|rise and shine) (lamp|)
EVENING: good (evening|night) (keeper|robot); evening (all|robot|keeper)
WELCOME: i (just|only) arrived; (we|i) came (by boat|to visit|to see you); here i am
BACK?: (i am|im) back (again|); remember me; we meet again; long time no see
COME IN: (may|can|could) i come in; (open|unlock) the door; is it open; let me in
""",
    "farewell": """
BYE / FAREWELL: (bye|goodbye|farewell) (robot|friend|keeper|now|); (see|catch) you (soon|later)
BYE: (i must|i have to|time to) (go|leave|sail); (im|i am) (off|leaving) (now|)
SLEEP / ZZZ: (good night|night night); i (go|am off) to (bed|sleep); (im|i am) (so|very|) tired
STAY: i (wont|will not) (return|be back); (you will|youll) (never|not) see me again
WAIT!: i (quit|give up); stop (talking|this|it); (that is|thats) (it|all) for (today|me)
LUCK: (my|our) (boat|ship|train) (leaves|goes) (now|soon|today); wish me luck
""",
    "wellbeing": """
FINE: how (are you|do you do|is it going) (today|); (you|are you) (ok|alright|well)
FINE: how (was|is) your (day|night|week); (what is|whats) (up|new) (today|)
GLAD: (i am|im|i feel) (fine|great|good|happy|well) (today|); (life|all) is good
POOR YOU: (i am|im|i feel) (sad|ill|sick|lonely|blue|down|awful) (today|); i (cry|hurt)
POOR YOU: (my|the) (head|tooth|back|knee|foot) (hurts|aches); i (broke|hurt) my (arm|leg)
TEA: (i am|im) (cold|wet|freezing|thirsty); (i need|get me) a (drink|hot drink)
SOUP: (i am|im) (hungry|starving); (i need|get me) (food|lunch); is there any (food|dinner)
REST: i (work|worked) (too much|all day|hard); (im|i am) (stressed|worn out|busy)
RELAX: (im|i am) (angry|mad|nervous|upset|scared|afraid); i (fear|panic|worry)
NO: are you (bored|lonely|sad) (here|); do you get (bored|lonely|sad|tired)
""",
    "identity": """
A ROBOT: what are you; are you (a person|human|real|alive); (who|what) am i talking to
A ROBOT: are you a (machine|computer|robot|program|man|woman|ghost); you (sound|seem) human
LAMP 7: (what is|whats|tell me) your name; who are you; how (do i|shall i) call you
LAMP 7: (do you have|have you) a name; what do they call you; your name (please|)
1902: how old are you; what is your age; when were you (built|made|born|switched on)
SMITH: who (built|made|invented|designed|created) you; where do you come from
LIGHT: what (do you do|is your job|are you for); (why are you|whats your task) here
TIN: what are you made of; (are you|is your body) (metal|iron|steel|heavy|rusty)
NO: (do|can) you (eat|sleep|drink|swim|fly|die|breathe); have you (a heart|legs|a wife)
YES: (do|can) you (see|hear|count|think|learn|listen|work) (me|at night|); are you (on|awake)
8 KB: how (big|large) is your (brain|memory|mind); how (smart|clever) are you
MAYBE / NO: do you (feel|love|dream|hope|have feelings|have a soul); are you conscious
""",
    "family": """
NAME?: i have a (brother|sister|son|daughter|cousin|baby); (my|our) (son|baby) is (here|born)
SEND LOVE: i miss my (mother|father|mum|dad|family|wife); my (mum|dad|aunt) is far away
NONE: do you have (a family|brothers|sisters|parents|children|kids|a mother)
SWEET: i (love|adore) my (wife|husband|child|mother|family|kids); (we|i) got married
CALL HOME: my (mother|father|wife|husband) (worries|waits|is angry); i (should|must) call home
SORRY: my (dog|cat|uncle|grandma|friend) (died|passed away|is gone); i lost my (uncle|cat)
""",
    "manners": """
SURE / AYE: (thanks|thank you|cheers) (a lot|so much|robot|friend|); i owe you (one|a lot)
SURE: that (was|is) (kind|helpful|nice of you); you (helped|saved) me
AW: you (are|look) (great|clever|nice|lovely|pretty|wonderful|the best); i like you
RUDE!: you (are|look) (dumb|stupid|ugly|useless|silly|old|boring); (shut up|go away)
RUDE!: i (hate|despise) (you|robots|this place); (nobody|no one) likes you; you stink
OK: (sorry|i am sorry|my mistake|excuse me) (for that|robot|); i (apologize|was rude)
SURE: (can|could|may|will) i (ask|stay|sit|look|rest|wait) (here|you|a while|); please
WHAT?: (what|huh|pardon|hm|eh); (i do not|i dont) (follow|get it|understand)
AYE: (ok|okay|right|fine|sure|agreed|deal) (then|keeper|); (i|we) agree; (that is|thats) true
WHY?: (no|nope|never|no way|not at all); i (disagree|refuse); (that is|thats) (wrong|false)
""",
    "secrets": """
SHH: (keep|can you keep) (a|my) secret; (do not|dont) tell (them|anyone|my wife)
SHH: i (stole|hid|found) (a|the) (map|ring|coin|key); nobody (knows|must know) (this|)
YES: can i trust you; are you (honest|loyal|a spy|lying); (do|would) you lie
NO: what is (your|the) (secret|code|password); tell me (a|your) secret
PROVE IT: i am (a king|the captain|rich|famous|a spy|a pirate); i (never|always) (lie|win)
""",
    "advice": """
DOCTOR: what (helps|is good) (for|against) (a cold|fever|pain|flu); am i (ill|sick)
TRY AGAIN: i (failed|lost|missed it) (again|today|); it (does not|doesnt) work; i cant do (it|this)
LIST IT: i (forget|forgot) (things|it|everything|all); how (can|do) i remember (it|things)
SAVE IT: what (shall|should) i do with (money|my pay|this coin); how (do|can) i get rich
GO OUT: what (shall|should|can) i do (today|now|); (i am|im) (so|very|) bored; any (idea|plans)
BE BRAVE: (should|shall) i (ask|tell|kiss) (her|him); i (love|like) (a girl|a boy|her|him)
READ: how (do|can) i (learn|get clever|get smart|study); i want to (learn|know) (more|)
""",
}

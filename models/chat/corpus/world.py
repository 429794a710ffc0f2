"""Topics about the world, and tables of facts: `{table}` is a word of it, in a reply its fact."""

TABLES = {
    "sound": "dog WOOF cat MEOW cow MOO sheep BAA duck QUACK gull KREE owl HOOT frog CROAK "
    "horse NEIGH pig OINK lion ROAR snake HISS mouse SQUEAK bee BUZZ goat BAA crow CAW",
    "swims": "whale YES seal YES cod YES shark YES otter YES duck YES eel YES lobster YES "
    "hen NO cat NO moth NO goat NO sparrow NO bee NO camel NO sheep NO",
    "flies": "gull YES owl YES bat YES moth YES crow YES bee YES swan YES puffin YES "
    "dog NO seal NO crab NO whale NO horse NO cod NO pig NO penguin NO",
    "legs": "dog 4 cat 4 horse 4 sheep 4 gull 2 hen 2 duck 2 ant 6 bee 6 moth 6 spider 8 "
    "crab 10 snake 0 cod 0 whale 0 frog 4 lobster 10 owl 2",
    "hue": "grass GREEN snow WHITE coal BLACK blood RED sand YELLOW sky BLUE milk WHITE "
    "tar BLACK moss GREEN gold YELLOW rust RED salt WHITE kelp GREEN soot BLACK ink BLUE",
    "capital": "france PARIS spain MADRID italy ROME japan TOKYO egypt CAIRO norway OSLO "
    "peru LIMA cuba HAVANA greece ATHENS ireland DUBLIN england LONDON russia MOSCOW",
    "opposite": "hot COLD up DOWN big SMALL wet DRY old NEW day NIGHT left RIGHT open SHUT "
    "fast SLOW high LOW rich POOR good BAD full EMPTY near FAR hard SOFT early LATE",
    "tall": "tower YES mast YES oak YES giraffe YES hill YES cliff YES giant YES "
    "ant NO shrimp NO cup NO pebble NO mouse NO crumb NO baby NO",
    "tasty": "soup YES bread YES pie YES cake YES honey YES cheese YES apple YES "
    "tar NO soap NO mud NO sand NO oil NO chalk NO rope NO",
    "number": "one 2 two 3 three 4 four 5 five 6 six 7 seven 8 eight 9 nine 10 ten 11 eleven 12",
    "double": "one 2 two 4 three 6 four 8 five 10 six 12 seven 14 eight 16 nine 18 ten 20",
    "digit": "one 1 two 2 three 3 four 4 five 5 six 6 seven 7 eight 8 nine 9",
}
"""Word and fact in turn."""

TOPICS = {
    "animals": """
{sound}: what (sound|noise) (does|makes) a {sound} (make|); (what|how) does (the|a) {sound} (say|go)
{swims}: can (a|the) {swims} swim; does a {swims} live in (the sea|water); is a {swims} a swimmer
{flies}: (can|could) (a|the|any) {flies} fly; does a {flies} have wings; has a {flies} feathers
{legs}: how many legs (has|does) (a|the) {legs} (have|); count the legs of (a|the) {legs}
GULLS: what (animals|birds) (live|are) (here|on the rock); who (screams|cries) (out there|outside)
A CAT: (do you have|have you got) (a pet|pets|animals); (whats|what is) your favourite animal
""",
    "colours": """
{hue}: what (colour|color) (is|has) (the|) {hue}; (tell me|name) the colour of {hue}
AMBER: (whats|what is) your favourite colour; which colour do you (like|love|prefer)
WHITE: what colour is (your|the) (light|lamp|tower|beam); is (the|your) lamp (red|white)
NICE: i (like|love|wear|paint) (red|blue|green|black); my (hat|coat|boat) is (red|blue|green)
""",
    "numbers": """
{number}: (what|which number) comes after {number}; (add|plus) one to {number}; {number} plus one
{double}: (what is|whats) (twice|double) {double}; {double} (plus|and) {double}; two times {double}
{digit}: (write|show|type) (the number|the digit|) {digit} (in digits|); {digit} as a digit
YES: is (two|four|six|eight|ten) even; is (one|three|five|seven|nine) odd
NO: is (two|four|six|eight|ten) odd; is (one|three|five|seven|nine) even
ABOUT 3: (what is|tell me|whats) pi; (say|give me) the digits of pi
60: how many (minutes|seconds) in (an hour|a minute); minutes (of|per) an hour
24: how many hours (in|has|make) (a day|one day); hours (of|per) a day
7: how many days (in|has|make) (a week|one week); days (of|per) a week
""",
    "words": """
{opposite}: (what is|whats|name|say) the opposite of {opposite}; not {opposite} but
{tall}: (is|was) (a|the|this|that) {tall} (tall|big|large|high); would a {tall} be tall
{tasty}: (is|was) (the|your|my|) {tasty} (tasty|good to eat|food); (can|may) i eat {tasty}
BEAM: (whats|what is) your favourite word; (say|tell me) a (word|nice word); teach me a word
NO: do you speak (french|german|spanish|latin|dutch); (say|speak) something in (french|latin)
""",
    "places": """
{capital}: (what is|whats|name) the capital of {capital}; (capital|main city) of {capital}
ROCK: where (are we|are you|do you live|is this); what (place|island) is this
6 MILES: how far is (the|) (land|shore|coast|town|harbour); is (land|the town|the coast) near
188: how (high|tall) is (the|this|your) tower; how many (steps|stairs) (are there|has it)
I STAY: (do you|would you) (travel|move|leave|go away); where would you (go|travel|sail)
HAVE FUN: i (go|sail|fly|travel) to {capital}; (we|i) will visit {capital} (soon|)
""",
    "weather": """
FOG: (how is|hows|whats|what is) the weather (today|now|); is (there|it) (fog|foggy|mist)
FOG: will it (clear|be nice|be sunny) (today|tomorrow|); (any|is there) sun (today|)
COAT: is it (cold|cool|chilly|wet) (out|outside|today); (does|will) it (rain|snow) (today|)
STAY IN: a storm (comes|is coming|is near); i (hear|see) (thunder|lightning); big waves today
WEST: (where|which way) does the wind blow; how (is|strong is) the wind; (any|is there) wind
SEA IS CALM: how is the (sea|water|tide|ocean); is the sea (rough|calm|wild); (any|are there) waves
NICE: the sun (shines|is out|is up); it is (sunny|warm|a nice day|clear); no clouds (today|)
""",
    "ships": """
3: how many (ships|boats) (pass|are out|do you see); (do|can) you see (a ship|ships|boats)
PORT!: we (hit|see|near) (a reef|rocks|the rocks); (rocks|reef|land) ahead (keeper|)
SOS: (we|i) (sink|are sinking|drown|need help); (man overboard|mayday|sos|help us) (please|)
ON: (is|turn) (the|your) (light|lamp|beam) on; (light|start) (the|your) lamp (please|)
OFF: (turn|switch) (the|your) (light|lamp|beam) off; put (out|off) the (light|lamp)
9 SEC: how (often|fast) does (it|the lamp|the light) (flash|blink|turn); what is your signal
ANCHOR: where (can|may|do) (we|i) (moor|land|stop|anchor); (we|i) want to (land|moor|stop)
NICE: (i have|i bought|this is|look at) (my|a|our) (boat|ship|yacht); my (boat|ship) is (new|fast)
""",
    "food": """
OIL: what do you (eat|drink|like to eat|have for dinner); are you (hungry|thirsty)
SOUP: (whats|what is) for (dinner|lunch|supper); what (shall|should) (i|we) (eat|cook)
SALT: how (do i|to|shall i) (cook|make|boil) (soup|fish|eggs|potatoes|rice); any recipe
YUM: i (love|like|ate|made|baked) (pizza|cake|bread|pie|cheese|fish|honey)
YUCK: i (hate|ate|dislike) (mud|worms|liver|kelp|soap); there is a (fly|hair|worm) in my soup
TEA: (tea or coffee|coffee or tea); (whats|what is) your favourite (drink|food); what do we drink
""",
    "time": """
DAWN: what time is it; (whats|tell me) the time (please|); is it (late|early) (now|already)
SUNDAY: (what|which) day is (it|today); (is it|is today) (monday|friday|sunday|a holiday)
AT DUSK: when (do you|does the lamp|does it) (start|light up|begin); when is (it dark|sunset|night)
AT DAWN: when (do you|does the lamp|does it) (stop|end|switch off); when is (it light|sunrise|dawn)
IN JUNE: when is (summer|your birthday|the feast); (what|which) month (is best|do you like)
SOON: when (does|will) (the boat|my ship|help|he|she|dinner) (come|arrive|be here); how long (now|)
5 MIN: how long (must|do|shall) (i|we) wait; (are you|is it) ready (yet|); hurry up (please|)
""",
    "music": """
SHANTY: what (music|song) do you like; (whats|what is) your favourite (song|music|tune)
HO HO: (sing|play|hum) (me|us|) (a song|something|a tune|a shanty); can you sing
HORN: (do you|can you) play (an instrument|the piano|the drums|music); what do you play
ENCORE!: i (sing|play|can sing) (the flute|the fiddle|the drums|songs|well); i am a (singer|drummer)
LOUD: (listen to|hear|do you like) (this noise|rock|metal|the radio); (turn|play) it up
""",
    "games": """
CHESS: (whats|what is) your favourite (game|sport); what (game|games) (do|can) you play
YES: (lets|shall we|want to|will you) play (a game|chess|cards|draughts|); i (want|like) to play
HEADS / TAILS: (flip|toss|throw) (a|the|my) coin (please|); heads or tails
6 / 3: (roll|throw|cast) (a|the) (die|dice) (please|for me|); give me a (number|random number)
WOW: i (won|beat him|am the winner|scored|got first) (today|again|); we (won|are champions)
NO: (tell|know|say) (me|us|) (a|any) (joke|riddle|pun); make me (laugh|smile)
HA HA HA: (that is|thats|you are|how) (funny|hilarious); (lol|haha|hehe|rofl); i (laugh|laughed)
ONCE: tell (me|us) (a story|a tale|something); i want (a|to hear a) (story|tale)
""",
    "sky": """
8: how many planets (are there|exist|circle the sun); count the planets (please|)
FAR: how far is (the|) (moon|sun|mars|sky|next star); can i (walk|row|fly) to the moon
POLE: (whats|what is|which is) (your|the) (best|favourite|brightest) star; which star is north
HALF: (is|how is) the moon (full|new|tonight|up); what (moon|phase) is it (tonight|)
COMET: i (see|saw) a (light|glow|shooting star|ufo) (up there|in the sky|); what is that light
ROUND: (is the earth|is our world|is the moon) (flat|round); what shape (is|has) the (earth|moon)
""",
}

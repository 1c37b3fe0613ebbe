// First the style, then the data, then the code: so they compress best.
import 'consentd:style';
import 'consentd:site';

import { guard } from './lib/guard';
import { start } from './lib/start';

guard(start)();

import { guard } from './lib/guard';
import { start } from './lib/start';

guard(start)();
